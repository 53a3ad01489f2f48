"""Losses of a whole optimiser step over micro-batches and processes.

A mean over utterances adds up: each micro-batch divides its sum by the normaliser of the whole step. A loss such as
1 - CCC does not. For it the step runs twice: first without gradient, to know all predictions. Their common loss gives
each prediction's gradient, and with it the second run goes backward. The random state of the first run is used again,
so dropout falls the same, and no more memory is needed than for one micro-batch. The idea is that of gradient caching
(Gao et al. 2021, arXiv 2101.06983, section 3).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from emotune.batch import Batch


@dataclass(frozen=True)
class RandomState:
    """The state of PyTorch's generators."""

    cpu: Tensor
    cuda: list[Tensor]

    @classmethod
    def now(cls) -> RandomState:
        return cls(torch.get_rng_state(), torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [])

    def restore(self) -> None:
        torch.set_rng_state(self.cpu)
        if self.cuda:
            torch.cuda.set_rng_state_all(self.cuda)


@dataclass(frozen=True)
class Part:
    """What a micro-batch has to know of its step.

    Args:
        random: the state before its forward pass.
        gradient: of the whole loss by its predictions, shape (batch, dimensions).
        value: its share of the loss, so that the shares of a step add up to it.
    """

    random: RandomState
    gradient: Tensor
    value: Tensor

    def surrogate(self, prediction: Tensor) -> Tensor:
        """A scalar of this value whose gradient is the whole loss's; prediction has shape (batch, dimensions)."""
        product = (prediction * self.gradient).sum()
        return product - product.detach() + self.value


def parts_of_step(
    model: nn.Module, batches: Sequence[Batch], loss: Callable[[Tensor, Tensor], Tensor], device: torch.device
) -> list[Part]:
    """Run all micro-batches of a step without gradient and share out the gradient of their common loss.

    Args:
        model: in training mode.
        batches: with dimensions as targets.
        loss: from predictions and truth of all utterances, over all processes too.
        device: where the model is.
    """
    states, predictions, truths = [], [], []
    with torch.no_grad():
        for batch in batches:
            states.append(RandomState.now())
            moved = batch.to(device)
            dimensions = model(moved).dimensions
            assert moved.targets is not None and moved.targets.dimensions is not None and dimensions is not None
            predictions.append(dimensions.float())
            truths.append(moved.targets.dimensions)
    sizes = [len(prediction) for prediction in predictions]
    everyone, start = gathered(torch.cat(predictions))
    leaf = everyone.detach().requires_grad_(True)
    with torch.enable_grad():
        value = loss(leaf, gathered(torch.cat(truths))[0])
    (gradient,) = torch.autograd.grad(value, leaf)
    own = gradient[start : start + sum(sizes)].split(sizes)
    share = value.detach() / (len(batches) * processes())
    return [Part(state, part, share) for state, part in zip(states, own, strict=True)]


def summed(normalisers: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Normalisers added up over micro-batches and processes."""
    totals = {name: torch.stack([found[name] for found in normalisers]).sum() for name in normalisers[0]}
    if processes() > 1:
        for total in totals.values():
            dist.all_reduce(total)
    return totals


def gathered(rows: Tensor) -> tuple[Tensor, int]:
    """The rows of all processes, in the order of their ranks, and where this process's own begin."""
    if processes() == 1:
        return rows, 0
    everyone: list[Any] = [None] * processes()
    dist.all_gather_object(everyone, rows.cpu())
    start = sum(len(others) for others in everyone[: dist.get_rank()])
    return torch.cat(everyone).to(rows.device), start


def processes() -> int:
    """How many processes train together. Their gradients are averaged: each one's loss is to be times this number."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1
