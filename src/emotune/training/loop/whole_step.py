"""Losses of a whole optimiser step over micro-batches and processes.

A mean over utterances adds up: each micro-batch divides its sum by the normaliser of the whole step. A loss such as
1 - CCC does not. For it the step runs twice: first without gradient, to know all predictions. Their common loss gives
each prediction's gradient, and with it the second run goes backward. Both runs draw the same dropout, and no more
memory is needed than for one micro-batch. The idea is that of gradient caching (Gao et al. 2021, arXiv 2101.06983,
section 3).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from emotune.training.loop import processes


@dataclass(frozen=True)
class Share:
    """A micro-batch's share of its step.

    Args:
        gradient: of the whole loss by its predictions, shape (batch, dimensions).
        value: its share of the loss, so that the shares of a step add up to it.
    """

    gradient: Tensor
    value: Tensor

    def surrogate(self, prediction: Tensor) -> Tensor:
        """A scalar of this value whose gradient is the whole loss's; prediction has shape (batch, dimensions)."""
        product = (prediction * self.gradient).sum()
        return product - product.detach() + self.value


def shares_of_step(
    predictions: Sequence[Tensor], truths: Sequence[Tensor], loss: Callable[[Tensor, Tensor], Tensor]
) -> list[Share]:
    """Shares out the gradient of the common loss of all micro-batches, those of the other processes too.

    Args:
        predictions: of each micro-batch, shape (batch, dimensions), without a graph.
        truths: of the same shapes.
        loss: a scalar from the predictions and the truth of all utterances.
    """
    sizes = [len(prediction) for prediction in predictions]
    everyone, start = _everyones(torch.cat(list(predictions)).float())
    leaf = everyone.detach().requires_grad_(True)
    with torch.enable_grad():
        value = loss(leaf, _everyones(torch.cat(list(truths)))[0])
    (gradient,) = torch.autograd.grad(value, leaf)
    own = gradient[start : start + sum(sizes)].split(sizes)
    value_share = value.detach() / (len(sizes) * processes.count())
    return [Share(part, value_share) for part in own]


def summed(normalisers: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Normalisers added up over micro-batches and processes."""
    return {
        name: processes.summed(torch.stack([found[name] for found in normalisers]).sum()) for name in normalisers[0]
    }


def _everyones(rows: Tensor) -> tuple[Tensor, int]:
    """The rows of all processes, and where this process's own begin."""
    everyone = processes.from_all(rows.cpu())
    start = sum(len(others) for others in everyone[: processes.number()])
    return torch.cat(everyone).to(rows.device), start
