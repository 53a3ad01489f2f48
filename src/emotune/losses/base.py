"""What a loss is."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from emotune.batch import Output, Targets


class Loss(nn.Module, ABC):
    """A loss that is a weighted mean over utterances, with its options as keyword arguments.

    Over the micro-batches and processes of an optimiser step it is sum(values) / sum(normalisers): a mean over batches
    of different size would be a mean of unequal means.
    """

    @abstractmethod
    def values(self, output: Output, targets: Targets) -> Tensor:
        """Each utterance's loss times its weight, shape (batch,); zero where it has no truth."""

    @abstractmethod
    def normaliser(self, targets: Targets) -> Tensor:
        """The sum of the weights, a scalar: known before any forward pass."""

    def values_over_layers(self, output: Output, targets: Targets) -> Tensor:
        """As ``values``; where every layer has its own head, the mean over layers under each clip's own posterior."""
        if output.layers is None:
            return self.values(output, targets)
        layers = output.layers
        total = layers.posterior.new_zeros(len(layers.posterior))
        for layer in range(layers.posterior.shape[1]):
            single = dataclasses.replace(
                output,
                logits=None if layers.logits is None else layers.logits[:, layer],
                dimensions=None if layers.dimensions is None else layers.dimensions[:, layer],
                layers=None,
            )
            total = total + layers.posterior[:, layer] * self.values(single, targets)
        return total


def known_shares(shares: Tensor) -> tuple[Tensor, Tensor]:
    """Shares, shape (batch, classes), with zeros in rows that hold a NaN, and which rows hold none, (batch,)."""
    known = ~torch.isnan(shares).any(dim=1)
    return shares.masked_fill(~known[:, None], 0), known


class BatchLoss(nn.Module, ABC):
    """A loss that belongs to a whole batch and is no sum over utterances: of the dimensions, such as 1 - CCC."""

    @abstractmethod
    def forward(self, prediction: Tensor, truth: Tensor) -> Tensor:
        """A scalar from predictions and truth, each shape (batch, dimensions), truth NaN where unknown."""
