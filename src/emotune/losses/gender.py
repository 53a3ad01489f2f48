"""The speaker's gender, learnt beside emotion."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from emotune.batch import Output, Targets
from emotune.losses.base import Loss, known_shares


class GenderCrossEntropy(Loss):
    """Cross-entropy of the speaker's gender; utterances of unknown gender do not count.

    An auxiliary target: Interspeech 2025's SAIL found that it helps a little on MSP-Podcast.
    """

    def values(self, output: Output, targets: Targets) -> Tensor:
        assert output.gender_logits is not None
        truth, known = _known(targets)
        return -(truth * F.log_softmax(output.gender_logits.float(), dim=1)).sum(dim=1) * known

    def normaliser(self, targets: Targets) -> Tensor:
        return _known(targets)[1].float().sum()

    def values_over_layers(self, output: Output, targets: Targets) -> Tensor:
        return self.values(output, targets)


def _known(targets: Targets) -> tuple[Tensor, Tensor]:
    """One for a gender and zero for the other, shape (batch, 2), and where it is known, shape (batch,)."""
    assert targets.gender is not None
    return known_shares(targets.gender)
