"""Layouts of a batch's frames in memory: padded with a mask, or packed one clip after the other.

Linear layers and norms do not care; attention and the positional convolution work through one of these.
"""

# pyright: strict, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from emotune.models.backbones.base import HiddenStates, mask_of, split_heads
from emotune.models.backbones.dropout import dropped

_ALIGNMENT = 8  # the memory-efficient attention of GPUs wants the rows of a bias to begin at multiples of this

_LONG = 300  # frames from which attention with a bias is faster head by head: 10 % of its time at 300, 40 % at 1,000


class Layout(Protocol):
    """An arrangement of frames: tensors have shape (..., features), where ... stands for clips and frames."""

    def along_time(self, function: Callable[[Tensor], Tensor], hidden: Tensor) -> Tensor:
        """Applies to every clip what mixes neighbouring frames; padding reads as zero.

        Args:
            function: (batch, frames, features) -> the same shape.
            hidden: shape (..., features).
        """
        ...

    def attend(
        self, query: Tensor, key: Tensor, value: Tensor, gate: Tensor | None, *, heads: int, dropout: float
    ) -> Tensor:
        """Self-attention inside each clip.

        Args:
            query, key, value: shape (..., features).
            gate: what each query multiplies its position bias by, shape (..., heads); None = there is no bias.
            heads: that features are split into.
            dropout: share of the attention weights dropped.
        """
        ...

    def states(self, layers: list[Tensor]) -> HiddenStates:
        """Outputs of the layers, each (..., features), as padded states with their mask; the list may be used up."""
        ...


class Padded:
    """(batch, frames, features) with a mask.

    Args:
        mask: shape (batch, frames), True = real.
        position_bias: before gating, shape (heads, frames, frames), or None.
    """

    def __init__(self, mask: Tensor, position_bias: Tensor | None, *, is_padded: bool) -> None:
        self.mask = mask
        self.padding = ~mask if is_padded else None
        self.position_bias = position_bias

    def along_time(self, function: Callable[[Tensor], Tensor], hidden: Tensor) -> Tensor:
        if self.padding is not None:
            hidden = hidden.masked_fill(self.padding[:, :, None], 0)
        return function(hidden)

    def attend(
        self, query: Tensor, key: Tensor, value: Tensor, gate: Tensor | None, *, heads: int, dropout: float
    ) -> Tensor:
        query, key, value = (split_heads(projected, heads) for projected in (query, key, value))
        bias = None
        if gate is not None:
            assert self.position_bias is not None
            bias = (gate.transpose(1, 2)[:, :, :, None] * self.position_bias).to(query.dtype)
        if self.padding is not None:
            hidden_keys = self.padding[:, None, None, :]
            bias = ~hidden_keys if bias is None else bias.masked_fill(hidden_keys, -math.inf)
        if bias is not None and bias.device.type == "cuda":
            bias = aligned(bias)
        if dropout and query.device.type == "cpu":
            attended = _with_dropout(query, key, value, bias, dropout)
        else:
            attended = F.scaled_dot_product_attention(query, key, value, attn_mask=bias, dropout_p=dropout)
        return attended.transpose(1, 2).flatten(2)

    def states(self, layers: list[Tensor]) -> HiddenStates:
        return HiddenStates(tuple(layers), self.mask)


class Packed:
    """(frames of all clips, features) without padding, for forwards without a graph on a CPU.

    Args:
        counts: frames of each clip.
        position_bias: for the longest clip, shape (heads, frames, frames), or None; shorter clips use its corner.
    """

    def __init__(self, counts: Sequence[int], position_bias: Tensor | None) -> None:
        self.counts = list(counts)
        self.position_bias = position_bias

    def along_time(self, function: Callable[[Tensor], Tensor], hidden: Tensor) -> Tensor:
        return torch.cat([function(clip[None])[0] for clip in hidden.split(self.counts)])

    def attend(
        self, query: Tensor, key: Tensor, value: Tensor, gate: Tensor | None, *, heads: int, dropout: float
    ) -> Tensor:
        assert dropout == 0, "training is padded"
        attended = query.new_empty(query.shape)
        start = 0
        for count in self.counts:
            clip = slice(start, start + count)
            start += count
            own_query, own_key, own_value = (split_heads(part[None, clip], heads) for part in (query, key, value))
            if gate is None:
                heard = F.scaled_dot_product_attention(own_query, own_key, own_value)[0]
            else:
                assert self.position_bias is not None
                bias = self.position_bias[:, :count, :count]
                heard = _with_bias(own_query[0], own_key[0], own_value[0], gate[clip].T[:, :, None], bias)
            attended[clip] = heard.transpose(0, 1).flatten(1)
        return attended

    def states(self, layers: list[Tensor]) -> HiddenStates:
        counts = torch.tensor(self.counts)
        mask = mask_of(counts, int(counts.max()))
        for index in range(len(layers)):  # a packed state is free as soon as it is padded
            layers[index] = self._padded(layers[index], mask)
        return HiddenStates(tuple(layers), mask)

    def _padded(self, state: Tensor, mask: Tensor) -> Tensor:
        if len(self.counts) == 1:
            return state[None]
        padded = state.new_zeros(*mask.shape, state.shape[1])
        start = 0
        for row, count in enumerate(self.counts):
            padded[row, :count] = state[start : start + count]
            start += count
        return padded


def _with_bias(query: Tensor, key: Tensor, value: Tensor, gate: Tensor, bias: Tensor) -> Tensor:
    """Attention of one clip with a gated position bias; long clips head by head, whose scores fit the cache.

    Args:
        query, key, value: shape (heads, frames, features of a head).
        gate: shape (heads, frames, 1).
        bias: shape (heads, frames, frames).
    """
    if query.shape[1] < _LONG:
        return F.scaled_dot_product_attention(query[None], key[None], value[None], attn_mask=(gate * bias)[None])[0]
    attended = torch.empty_like(query)
    for head in range(len(query)):
        scores = torch.addmm(gate[head] * bias[head], query[head], key[head].T, alpha=query.shape[-1] ** -0.5)
        torch.mm(scores.softmax(dim=-1), value[head], out=attended[head])
    return attended


def _with_dropout(query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None, share: float) -> Tensor:
    """Attention with a share of its weights dropped, in the steps that PyTorch takes too where there is dropout."""
    scores = (query / math.sqrt(query.shape[-1])) @ key.transpose(-2, -1)
    if bias is not None:
        scores = scores.masked_fill(~bias, -math.inf) if bias.dtype == torch.bool else scores + bias
    return dropped(scores.softmax(dim=-1), share) @ value


def aligned(bias: Tensor) -> Tensor:
    """The same bias, (..., frames), in memory whose rows begin at multiples of eight elements."""
    frames = bias.shape[-1]
    return F.pad(bias, (0, -frames % _ALIGNMENT))[..., :frames]
