"""Cross-entropy over classes, with class weights and label smoothing."""

# pyright: strict, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

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

    def values(self, prediction: Tensor, truth: Tensor) -> Tensor:
        log_probabilities = F.log_softmax(prediction.float(), dim=1)
        shares = self.weighted_shares(truth)
        of_truth = (shares * log_probabilities).sum(dim=1)
        of_all = shares.sum(dim=1) * log_probabilities.mean(dim=1)
        return -(1 - self.smoothing) * of_truth - self.smoothing * of_all


def balanced_class_weights(counts: Tensor, *, power: float = 1.0) -> Tensor:
    """(N / (C n_c))^power for class counts of shape (classes,); a class that does not occur weighs nothing.

    Reference:
        A power of .5 is in MEDUSA's configuration (Interspeech 2025 challenge).

    >>> balanced_class_weights(torch.tensor([2.0, 8.0]), power=0.5).square()
    tensor([2.5000, 0.6250])
    """
    occurring = counts > 0
    weights = (counts.sum() / (occurring.sum() * counts.clamp(min=1))) ** power
    return torch.where(occurring, weights, torch.zeros_like(counts))


def effective_number_class_weights(counts: Tensor, *, beta: float = 0.999) -> Tensor:
    """(1 - beta) / (1 - beta^n_c), scaled so that the weights of the classes that occur sum to their number.

    The effective number (1 - beta^n) / (1 - beta) grows ever more slowly with n, up to 1 / (1 - beta): a beta of 0
    weighs all classes alike, one near 1 inversely to their counts.

    Args:
        counts: utterances of each class, shape (classes,); a class that does not occur weighs nothing.
        beta: in [0, 1).

    Raises:
        ValueError: for another beta.

    Reference:
        Cui et al. (2019), Class-Balanced Loss Based on Effective Number of Samples, arXiv 1901.05555, equation 2.

    >>> effective_number_class_weights(torch.tensor([1.0, 2.0]), beta=0.5)
    tensor([1.2000, 0.8000])
    """
    if not 0 <= beta < 1:
        raise ValueError(f"beta is {beta}, expected at least 0 and less than 1.")
    exact, occurring = counts.double(), counts > 0
    effective = -torch.expm1(exact * math.log(beta)) if beta else torch.ones_like(exact)
    weights = torch.where(occurring, 1 / effective.clamp(min=torch.finfo(torch.float64).tiny), 0.0)
    return (weights * occurring.sum() / weights.sum()).to(counts.dtype)
