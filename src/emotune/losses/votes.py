"""Losses against the annotators' votes as a distribution over classes."""

# pyright: strict, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from emotune.losses.base import Loss, known_shares


class VoteLoss(Loss):
    """A loss of classes against votes; utterances without votes (NaN) do not count."""

    head, truth = "classes", "votes"

    def normaliser(self, truth: Tensor) -> Tensor:
        return known_shares(truth)[1].float().sum()


class SoftCrossEntropy(VoteLoss):
    """-sum_c v_c log p_c with votes v.

    Args:
        smoothing: share of the votes spread evenly over all classes, in [0, 1).
    """

    def __init__(self, *, smoothing: float = 0.0) -> None:
        super().__init__()
        self.smoothing = smoothing

    def values(self, prediction: Tensor, truth: Tensor) -> Tensor:
        votes, known = known_shares(truth)
        votes = (1 - self.smoothing) * votes + self.smoothing / votes.shape[1]
        return -(votes * F.log_softmax(prediction.float(), dim=1)).sum(dim=1) * known


class KL(VoteLoss):
    """KL(votes || prediction): soft cross-entropy less the votes' own entropy, so zero is the best there is."""

    def values(self, prediction: Tensor, truth: Tensor) -> Tensor:
        votes, known = known_shares(truth)
        entropy = -torch.special.xlogy(votes, votes).sum(dim=1)
        return (-(votes * F.log_softmax(prediction.float(), dim=1)).sum(dim=1) - entropy) * known
