"""The loop's task of sequence models: the decoder's cross-entropy over legal tokens, and CTC over the encoder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from emotune.batch import Batch
from emotune.models.sequences.sequence_model import TaskOutput
from emotune.training.loop.task import Task

_CLIPS = "clips"
Outputs = Mapping[str, TaskOutput]


@dataclass(frozen=True)
class Shares:
    """Weight of a task in the loss, and the share of it that CTC has."""

    weight: float = 1.0
    ctc: float = 0.0


class SequenceTask(Task[Outputs]):
    """Mean over clips of each clip's mean loss a token, weighted by its task.

    A task with a share w of CTC has (1 - w) times the decoder's loss and w times CTC's, a symbol of the truth.

    Args:
        shares: of each of the model's tasks.

    Reference:
        Watanabe et al. (2017), Hybrid CTC/Attention Architecture for End-to-End Speech Recognition, equation 13.
    """

    def __init__(self, shares: Mapping[str, Shares]) -> None:
        super().__init__()
        self.shares = dict(shares)

    def normalisers(self, batch: Batch) -> Mapping[str, Tensor]:
        return {_CLIPS: torch.tensor(float(len(batch.waveforms)), device=next(iter(batch.targets.values())).device)}

    def mean_losses(self, output: Outputs, batch: Batch, normalisers: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        losses: dict[str, Tensor] = {}
        for name, found in output.items():
            share = self.shares[name]
            losses[name] = share.weight * (1 - share.ctc) * decoder_losses(found).sum() / normalisers[_CLIPS]
            if share.ctc:
                losses[f"{name} ctc"] = share.weight * share.ctc * ctc_losses(found).sum() / normalisers[_CLIPS]
        return losses

    def everything(self, output: Outputs) -> Tensor:
        return torch.stack([found.scores.float().logsumexp(dim=-1).sum() for found in output.values()]).sum()


def decoder_losses(output: TaskOutput) -> Tensor:
    """Mean negative log-probability of each clip's tokens among the legal ones, shape (clips,)."""
    truth = output.truth
    losses = F.cross_entropy(output.scores.float().transpose(1, 2), truth, ignore_index=-1, reduction="none")
    return losses.sum(dim=1) / (truth >= 0).sum(dim=1)


def ctc_losses(output: TaskOutput) -> Tensor:
    """CTC's loss of each clip a symbol of its truth, shape (clips,); 0 where a clip has too few frames for it."""
    assert output.symbols is not None
    lengths = (output.targets > 0).sum(dim=1)
    losses = F.ctc_loss(
        output.symbols.float(), output.targets, output.frames, lengths, reduction="none", zero_infinity=True
    )
    return losses / lengths.clamp(min=1)
