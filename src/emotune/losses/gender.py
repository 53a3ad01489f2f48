"""The speaker's gender, learnt beside emotion."""

# pyright: strict, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from emotune.losses.base import Loss, known_shares


class GenderCrossEntropy(Loss):
    """Cross-entropy of the speaker's gender; utterances of unknown gender do not count.

    An auxiliary target: Interspeech 2025's SAIL found that it helps a little on MSP-Podcast.
    """

    head = truth = "gender"

    def values(self, prediction: Tensor, truth: Tensor) -> Tensor:
        shares, known = known_shares(truth)
        return -(shares * F.log_softmax(prediction.float(), dim=1)).sum(dim=1) * known

    def normaliser(self, truth: Tensor) -> Tensor:
        return known_shares(truth)[1].float().sum()
