"""The task of fine-tuning: heads learn the truth that an utterance comes with."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import torch
from torch import Tensor, nn

from emotune.batch import Batch, Output
from emotune.losses.base import BatchLoss
from emotune.losses.combined import CombinedLoss
from emotune.schema.manifest import Manifest
from emotune.schema.predictions import Predictions
from emotune.training.loop.task import Task, WholeLoss
from emotune.training.state_mix import StateMix


class LabelTask(Task[Output]):
    """Teaches the heads of a model by the losses of a recipe.

    Args:
        loss: those of the recipe.
        mix: how clips are mixed behind the encoder; None = not.
    """

    def __init__(self, loss: CombinedLoss, *, mix: StateMix | None = None) -> None:
        super().__init__()
        self.loss = loss
        self.mix = mix

    def heard(self, model: nn.Module, batch: Batch) -> Batch:
        return batch if self.mix is None else self.mix(batch)

    def normalisers(self, batch: Batch) -> Mapping[str, Tensor]:
        return self.loss.normalisers(batch.targets)

    def mean_losses(self, output: Output, batch: Batch, normalisers: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        return self.loss.mean_losses(output, batch.targets, normalisers)

    @property
    def whole_losses(self) -> Mapping[str, WholeLoss[Output]]:
        return {
            name: WholeLoss(
                partial(_said_by_head, loss), partial(_truth_for, loss), partial(self.loss.whole_loss, name)
            )
            for name, loss in self.loss.wholes.items()
        }

    def scored(self, development: Manifest, predictions: Predictions) -> Mapping[str, float]:
        """Hears how a model answers development after an epoch, the same in every process; further figures of it."""
        return {}

    def everything(self, output: Output) -> Tensor:
        return torch.stack([scores.float().sum() for scores in output.heads.values()]).sum()


def _said_by_head(loss: BatchLoss, output: Output) -> Tensor:
    return output.heads[loss.head]


def _truth_for(loss: BatchLoss, batch: Batch) -> Tensor:
    return batch.targets[loss.truth]
