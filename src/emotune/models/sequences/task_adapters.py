"""Adapters of tasks: small networks behind every transformer layer of encoder and decoder, one set a task.

A task's adapter works by itself, behind that of another task, or as attention over those of several others.

References:
    Suresh et al. (2024), arXiv 2406.14747: adapters for several spoken-language tasks in an encoder-decoder.
    Houlsby et al. (2019), arXiv 1902.00751, section 2.1: bottlenecks.
    Pfeiffer et al. (2021), AdapterFusion, arXiv 2005.00247, section 3.3; without its value matrices here.
"""

# pyright: strict, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

import math
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from emotune.models.adapters.insertion import replace
from emotune.models.backbones.product import bias_of, product

Change = Callable[[Tensor], Tensor]
"""Hidden states, shape (..., features), to changed ones of the same shape."""


class Bottleneck(nn.Module):
    """U ReLU(D h) with U zero at the start, shape (..., features) in and out: 2dr + r + d parameters."""

    def __init__(self, features: int, size: int) -> None:
        super().__init__()
        self.down = nn.Linear(features, size)
        self.up = nn.Linear(size, features)
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)

    def forward(self, hidden: Tensor) -> Tensor:
        return self.up(F.relu(self.down(hidden)))


class Attentive(nn.Module):
    """The sum of several bottlenecks' changes, weighted by attention of the state to each: 2dr parameters.

    It is zero where all changes are, whatever the weights: they sum to one.
    """

    def __init__(self, features: int, size: int) -> None:
        super().__init__()
        self.query = nn.Linear(features, size, bias=False)
        self.key = nn.Linear(features, size, bias=False)

    def weights(self, hidden: Tensor, changes: Tensor) -> Tensor:
        """Weights of changes, shape (adapters, ..., features), for states (..., features): (adapters, ...)."""
        products = (self.query(hidden)[None] * self.key(changes)).sum(dim=-1)
        return (products / math.sqrt(self.query.out_features)).softmax(dim=0)

    def forward(self, hidden: Tensor, changes: Tensor) -> Tensor:
        return (self.weights(hidden, changes)[..., None] * changes).sum(dim=0)


class AdaptedLinear(nn.Linear):
    """The last linear layer of a transformer layer, whose output the adapter in use changes.

    Weight and bias keep their names and values.
    """

    change: Change | None = None

    def __init__(self, base: nn.Linear) -> None:
        super().__init__(base.in_features, base.out_features, bias=bias_of(base) is not None, device="meta")
        self.weight, self.bias = base.weight, base.bias

    def forward(self, input: Tensor) -> Tensor:
        hidden = product(input, self.weight, self.bias)
        return hidden if self.change is None else self.change(hidden)


def adapted_places(layers: Sequence[nn.Module], end: str) -> list[AdaptedLinear]:
    """Puts an ``AdaptedLinear`` in the place of the linear layer of that last name in each transformer layer."""
    places: list[AdaptedLinear] = []
    for layer in layers:
        parent, linear = next(
            (parent, child)
            for parent in layer.modules()
            for name, child in parent.named_children()
            if name == end and isinstance(child, nn.Linear)
        )
        place = AdaptedLinear(linear)
        replace(parent, linear, place)
        places.append(place)
    return places


@contextmanager
def in_use(places: Sequence[AdaptedLinear], changes: Sequence[Change]) -> Generator[None]:
    """Lets each place change its output in the block; before and after it nothing does."""
    for place, change in zip(places, changes, strict=True):
        place.change = change
    try:
        yield
    finally:
        for place in places:
            place.change = None


def alone(own: Bottleneck) -> Change:
    """H + A(h)."""
    return lambda hidden: hidden + own(hidden)


def stacked(source: Bottleneck, own: Bottleneck) -> Change:
    """A_t(A_s(h)), each with its residual."""

    def change(hidden: Tensor) -> Tensor:
        between = hidden + source(hidden)
        return between + own(between)

    return change


def fused(sources: Sequence[Bottleneck], own: Attentive) -> Change:
    """Attention over the outputs of several adapters: h + sum_i s_i A_i(h), where the s_i sum to one."""

    def change(hidden: Tensor) -> Tensor:
        return hidden + own(hidden, torch.stack([source(hidden) for source in sources]))

    return change
