"""Cross-entropy over classes, with class weights and label smoothing."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from emotune.batch import Output, Targets
from emotune.losses.class_loss import ClassLoss


class CrossEntropy(ClassLoss):
    """Weighted cross-entropy.

    Each utterance counts with the weight of its class, and the sum is divided by the sum of these weights, so that
    equal weights give the plain mean and scaling all weights changes nothing. Smoothing spreads ``smoothing`` of the
    target evenly over all classes (Szegedy et al. 2016, arXiv 1512.00567, section 7).

    Args:
        class_weights: one weight a class, shape (classes,); None = all one.
        smoothing: share of the target spread over all classes, in [0, 1).
    """

    def __init__(self, *, class_weights: Tensor | None = None, smoothing: float = 0.0) -> None:
        super().__init__(class_weights=class_weights)
        self.smoothing = smoothing

    def values(self, output: Output, targets: Targets) -> Tensor:
        assert output.logits is not None
        log_probabilities = F.log_softmax(output.logits.float(), dim=1)
        shares = self.weighted_shares(targets)
        of_truth = (shares * log_probabilities).sum(dim=1)
        of_all = shares.sum(dim=1) * log_probabilities.mean(dim=1)
        return -(1 - self.smoothing) * of_truth - self.smoothing * of_all


def balanced_class_weights(counts: Tensor) -> Tensor:
    """N / (C n_c) for class counts of shape (classes,); a class that does not occur weighs nothing."""
    occurring = counts > 0
    return torch.where(occurring, counts.sum() / (occurring.sum() * counts.clamp(min=1)), torch.zeros_like(counts))
