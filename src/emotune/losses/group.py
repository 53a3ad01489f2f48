"""Cross-entropy of the group of a clip, such as its corpus, for a discriminator."""

# pyright: strict, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from emotune.losses.base import Loss, known_shares


class GroupCrossEntropy(Loss):
    """Cross-entropy of the groups, each of which counts alike; utterances of no group do not count.

    Args:
        group_weights: what an utterance of each group counts, such as one over the group's size, shape (groups,).
    """

    head = truth = "group"
    group_weights: Tensor

    def __init__(self, *, group_weights: Tensor) -> None:
        super().__init__()
        self.register_buffer("group_weights", group_weights)

    def values(self, prediction: Tensor, truth: Tensor) -> Tensor:
        shares, known = known_shares(truth)
        return -(shares * self.group_weights * F.log_softmax(prediction.float(), dim=1)).sum(dim=1) * known

    def normaliser(self, truth: Tensor) -> Tensor:
        return (known_shares(truth)[0] * self.group_weights).sum()
