"""Base of the losses of classes."""

# pyright: strict, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

import torch
from torch import Tensor

from emotune.losses.base import Loss


class ClassLoss(Loss):
    """A loss of classes; utterances without one do not count, others with the weight of their class.

    Where clips were mixed, an utterance has shares of several classes and counts with the mean of their weights.

    Args:
        class_weights: one weight a class, shape (classes,); None = all one.
    """

    head = truth = "classes"
    class_weights: Tensor | None

    def __init__(self, *, class_weights: Tensor | None = None) -> None:
        super().__init__()
        self.register_buffer("class_weights", class_weights)

    def weighted_shares(self, truth: Tensor) -> Tensor:
        """Each class's share of each utterance times its weight, shape (batch, classes); zero where unknown."""
        shares = torch.nan_to_num(truth, nan=0.0)
        return shares if self.class_weights is None else shares * self.class_weights

    def normaliser(self, truth: Tensor) -> Tensor:
        return self.weighted_shares(truth).sum()
