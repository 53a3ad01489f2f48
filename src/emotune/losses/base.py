"""Contract of a loss."""

# pyright: strict, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor, nn

from emotune.batch import Output, Targets


class Loss(nn.Module, ABC):
    """A loss that is a weighted mean over utterances, with its options as keyword arguments.

    Over the micro-batches and processes of an optimiser step it is sum(values) / sum(normalisers): a mean over batches
    of different size would be a mean of unequal means.
    """

    head: ClassVar[str]
    """the head that it teaches"""
    truth: ClassVar[str]
    """the head's truth that it compares with"""

    @abstractmethod
    def values(self, prediction: Tensor, truth: Tensor) -> Tensor:
        """Each utterance's loss times its weight, shape (batch,); zero where it has no truth.

        Args:
            prediction: what the head says, shape (batch, outputs).
            truth: of the same shape, NaN where unknown.
        """

    @abstractmethod
    def normaliser(self, truth: Tensor) -> Tensor:
        """The sum of the weights, a scalar: known before any forward pass. Truth has shape (batch, outputs)."""

    def of_batch(self, output: Output, targets: Targets) -> Tensor:
        """``values`` of its own head and truth, shape (batch,).

        Where every layer has its own head, the mean over layers under each clip's own posterior.
        """
        layers, truth = output.layers, targets[self.truth]
        if layers is None or self.head not in layers.heads:
            return self.values(output.heads[self.head], truth)
        total = layers.posterior.new_zeros(len(layers.posterior))
        for layer in range(layers.posterior.shape[1]):
            total = total + layers.posterior[:, layer] * self.values(layers.heads[self.head][:, layer], truth)
        return total


def known_shares(shares: Tensor) -> tuple[Tensor, Tensor]:
    """Shares, shape (batch, classes), with zeros in rows that hold a NaN, and which rows hold none, (batch,)."""
    known = ~torch.isnan(shares).any(dim=1)
    return shares.masked_fill(~known[:, None], 0), known


class BatchLoss(nn.Module, ABC):
    """A loss that belongs to a whole batch and is no sum over utterances, such as 1 - CCC."""

    head: ClassVar[str]
    """the head that it teaches"""
    truth: ClassVar[str]
    """the head's truth that it compares with"""

    @abstractmethod
    def forward(self, prediction: Tensor, truth: Tensor) -> Tensor:
        """A scalar from what the head says and truth, each shape (batch, outputs), truth NaN where unknown."""
