"""What a loss is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from torch import Tensor, nn

from emotune.batch import Output, Targets


@dataclass(frozen=True)
class LossSum:
    """A loss before its division: ``total`` over a batch and its ``normaliser``, both scalars.

    Over the micro-batches of an optimiser step the loss is sum(total) / sum(normaliser): a mean over batches of
    different size would be a mean of unequal means.
    """

    total: Tensor
    normaliser: Tensor


class Loss(nn.Module, ABC):
    """A loss, with its options as keyword arguments.

    ``additive`` says whether sums over micro-batches give the loss of the whole; where not (CCC), accumulation is
    refused.
    """

    additive = True

    @abstractmethod
    def forward(self, output: Output, targets: Targets) -> LossSum: ...

    @abstractmethod
    def normaliser(self, targets: Targets) -> Tensor:
        """The normaliser alone, a scalar, from the targets: known before any forward pass."""
