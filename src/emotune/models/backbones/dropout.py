"""Dropout whose masks cost next to nothing on a CPU.

PyTorch draws a random number for each value, on one thread: an eighth of a training step. Here four values share one
64-bit number of a faster generator, whose seed is drawn from PyTorch's: the same seed gives the same masks.
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
    return _Dropped.apply(hidden, _chosen(hidden.shape, share), 1 / (1 - round(share * _STEPS) / _STEPS))


class _Dropped(torch.autograd.Function):
    """Keeps one byte a value for the way back."""

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, chosen: Tensor, scale: float) -> Tensor:
        ctx.save_for_backward(chosen)
        ctx.scale = scale
        return (hidden * scale).masked_fill_(chosen, 0)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, gradient: Tensor
    ) -> tuple[Tensor, None, None]:
        (chosen,) = ctx.saved_tensors
        return (gradient * ctx.scale).masked_fill_(chosen, 0), None, None


def _chosen(shape: torch.Size, share: float) -> Tensor:
    """Mask of the values that are dropped, in which each is one with a probability of ``share``."""
    seed = int(torch.randint(_SEEDS, ()))
    words = np.random.SFC64(seed).random_raw(-(-shape.numel() // 4))
    drawn = torch.from_numpy(words.view(np.int16))[: shape.numel()]
    return (drawn < round(share * _STEPS) - _STEPS // 2).view(shape)
