"""Focal loss: cross-entropy that counts less what is already right."""

# pyright: strict, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from emotune.losses.class_loss import ClassLoss


class Focal(ClassLoss):
    """w_y (1 - p_y)^gamma (-log p_y), divided as cross-entropy is, by the sum of the weights w_y.

    Args:
        class_weights: one weight a class, shape (classes,); None = all one.
        gamma: 0 is cross-entropy.

    Reference:
        Lin et al. (2017), Focal Loss for Dense Object Detection, arXiv 1708.02002, equation 5.
    """

    def __init__(self, *, class_weights: Tensor | None = None, gamma: float = 2.0) -> None:
        super().__init__(class_weights=class_weights)
        self.gamma = gamma

    def values(self, prediction: Tensor, truth: Tensor) -> Tensor:
        log_probabilities = F.log_softmax(prediction.float(), dim=1)
        hardness = (-log_probabilities.expm1()).clamp(min=1e-12) ** self.gamma  # (1 - p)^gamma
        return -(self.weighted_shares(truth) * hardness * log_probabilities).sum(dim=1)
