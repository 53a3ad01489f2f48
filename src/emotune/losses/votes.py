"""Losses against the annotators' votes as a distribution over classes."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from emotune.batch import Output, Targets
from emotune.losses.base import Loss, known_shares


class SoftCrossEntropy(Loss):
    """-sum_c v_c log p_c with votes v; utterances without votes (NaN) do not count.

    Args:
        smoothing: share of the votes spread evenly over all classes, in [0, 1).
    """

    def __init__(self, *, smoothing: float = 0.0) -> None:
        super().__init__()
        self.smoothing = smoothing

    def values(self, output: Output, targets: Targets) -> Tensor:
        assert output.logits is not None
        votes, known = _votes(targets)
        votes = (1 - self.smoothing) * votes + self.smoothing / votes.shape[1]
        return -(votes * F.log_softmax(output.logits.float(), dim=1)).sum(dim=1) * known

    def normaliser(self, targets: Targets) -> Tensor:
        return _votes(targets)[1].float().sum()


class KL(Loss):
    """KL(votes || prediction): soft cross-entropy less the votes' own entropy, so zero is the best there is."""

    def values(self, output: Output, targets: Targets) -> Tensor:
        assert output.logits is not None
        votes, known = _votes(targets)
        entropy = -torch.special.xlogy(votes, votes).sum(dim=1)
        return (-(votes * F.log_softmax(output.logits.float(), dim=1)).sum(dim=1) - entropy) * known

    def normaliser(self, targets: Targets) -> Tensor:
        return _votes(targets)[1].float().sum()


def _votes(targets: Targets) -> tuple[Tensor, Tensor]:
    """Distributions, (batch, classes), zero where there are no votes, and where there are some, (batch,)."""
    assert targets.votes is not None
    return known_shares(targets.votes)
