"""What the losses of hard classes share."""

from __future__ import annotations

from torch import Tensor

from emotune.batch import Targets
from emotune.losses.base import Loss


class ClassLoss(Loss):
    """A loss of classes; utterances without a class (-1) do not count, others with the weight of their class.

    Args:
        class_weights: one weight a class, shape (classes,); None = all one.
    """

    class_weights: Tensor | None

    def __init__(self, *, class_weights: Tensor | None = None) -> None:
        super().__init__()
        self.register_buffer("class_weights", class_weights)

    def weights(self, targets: Targets) -> Tensor:
        """Each utterance's weight, shape (batch,)."""
        assert targets.classes is not None
        known = targets.classes >= 0
        return known.float() if self.class_weights is None else self.class_weights[targets.classes.clamp(min=0)] * known

    def normaliser(self, targets: Targets) -> Tensor:
        return self.weights(targets).sum()
