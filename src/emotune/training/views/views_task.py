"""The loop's task of multi-view pre-training: the contrastive loss of all clips of an optimiser step."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from emotune.batch import Batch
from emotune.losses.contrastive import PairwiseInfoNCE
from emotune.models.views.view_model import Embeddings
from emotune.training.loop.task import Task, WholeLoss

CLIP = "clip"
"""Truth of this task: the numbers of the clip and of its speaker."""


class ViewsTask(Task[Embeddings]):
    """Teaches every two views of a clip to find each other among the clips of a step.

    No part of the loss is a sum over clips: each is told from all others, whatever micro-batch and process they are in.

    Args:
        loss: of all clips of a step.
        width: of the space that the views share.
    """

    def __init__(self, loss: PairwiseInfoNCE, *, width: int) -> None:
        super().__init__()
        self.loss = loss
        self.width = width

    def normalisers(self, batch: Batch) -> Mapping[str, Tensor]:
        return {}

    def mean_losses(self, output: Embeddings, batch: Batch, normalisers: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        return {}

    @property
    def whole_losses(self) -> Mapping[str, WholeLoss[Embeddings]]:
        return {"info_nce": WholeLoss(_side_by_side, _numbers_of, self._loss_of)}

    def everything(self, output: Embeddings) -> Tensor:
        return torch.stack([vectors.sum() for vectors in output.values()]).sum()

    def _loss_of(self, prediction: Tensor, truth: Tensor) -> Tensor:
        return self.loss(prediction.unflatten(1, (-1, self.width)), truth[:, 0], truth[:, 1])


def _side_by_side(output: Embeddings) -> Tensor:
    """All views of each clip in a row, shape (batch, views * width)."""
    return torch.cat(list(output.values()), dim=1)


def _numbers_of(batch: Batch) -> Tensor:
    return batch.targets[CLIP]
