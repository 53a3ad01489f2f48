"""Dropout whose masks cost next to nothing on a CPU, in time and in memory.

PyTorch draws a random number for each value, on one thread: an eighth of a training step. Here four values share one
64-bit number of a faster generator, whose seed is drawn from PyTorch's: the same seed gives the same masks, and the way
back draws them again.
"""

# pyright: strict, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

_STEPS = 2**16  # a share is rounded to a multiple of 1 / _STEPS
_SEEDS = 2**62


class Dropout(nn.Dropout):
    """As ``torch.nn.Dropout``."""

    def forward(self, input: Tensor) -> Tensor:
        return dropped(input, self.p) if self.training else input


def dropped(hidden: Tensor, share: float) -> Tensor:
    """Sets a share of the values to zero and scales the others, so that their mean stays."""
    drawn_here = hidden.device.type == "cpu" and not torch.compiler.is_compiling()
    if not drawn_here or not 0 < share < 1 or not hidden.numel():
        return F.dropout(hidden, share)
    return _Dropped.apply(hidden, int(torch.randint(_SEEDS, ())), round(share * _STEPS))


class _Dropped(torch.autograd.Function):
    """Keeps the seed alone and draws the mask again on the way back."""

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, seed: int, steps: int) -> Tensor:
        ctx.drawn_from = seed, steps
        return _masked(hidden, seed, steps)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, gradient: Tensor
    ) -> tuple[Tensor, None, None]:
        return _masked(gradient, *ctx.drawn_from), None, None


def _masked(values: Tensor, seed: int, steps: int) -> Tensor:
    """Values of which each is dropped with a probability of ``steps`` in ``_STEPS``, the others scaled."""
    words = np.random.SFC64(seed).random_raw(-(-values.numel() // 4))
    drawn = torch.from_numpy(words.view(np.int16))[: values.numel()].view(values.shape)
    # a comparison into numbers and a product are vectorised; filling by a mask of booleans takes five times as long
    kept = torch.empty_like(values, memory_format=torch.contiguous_format)
    torch.ge(drawn, steps - _STEPS // 2, out=kept)
    return torch.addcmul(values.new_zeros(()), values, kept, value=1 / (1 - steps / _STEPS))
