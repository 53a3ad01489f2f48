"""WavLM Base, Base+ and Large: our own forward, equal to the published models'.

Unlike the usual implementation it runs on fused attention, lets adapters on the attention's projections act, and gives
a clip the same states in a batch as alone for the group-norm models (Base, Base+) too.

Reference:
    Chen et al. (2022), WavLM: Large-Scale Self-Supervised Pre-Training for Full Stack Speech Processing,
    arXiv 2110.13900, section III: gated relative position bias.
"""

# pyright: strict, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from emotune.models.backbones.family import Wav2Vec2Family
from emotune.models.backbones.product import is_plain
from emotune.models.backbones.published import WAVLM
from emotune.models.backbones.transformer import SelfAttention


class GatedAttention(SelfAttention):
    """Self-attention with a relative position bias that each query gates for itself.

    The bias table is layer 0's, which alone has `rel_attn_embed`; every layer has its own gate, whose linear layer has
    eight outputs a head that are summed in fours.
    """

    def __init__(self, settings: Mapping[str, Any], *, owns_bias: bool) -> None:
        super().__init__(settings)
        self.gru_rel_pos_linear = nn.Linear(settings["hidden_size"] // self.heads, 8)
        self.gru_rel_pos_const = nn.Parameter(torch.ones(1, self.heads, 1, 1))
        if owns_bias:
            self.rel_attn_embed = nn.Embedding(settings["num_buckets"], self.heads)

    def _gate(self, hidden: Tensor) -> Tensor:
        heads, linear = hidden.unflatten(-1, (self.heads, -1)), self.gru_rel_pos_linear
        if is_plain(linear):  # the sum over four outputs is folded into the weight
            weight, bias = (tensor.unflatten(0, (2, 4)).sum(dim=1) for tensor in (linear.weight, linear.bias))
            gates = F.linear(heads, weight, bias)
        else:
            gates = linear(heads).unflatten(-1, (2, 4)).sum(dim=-1)
        update, reset = gates.sigmoid().unbind(dim=-1)
        return update * (reset * self.gru_rel_pos_const.flatten() - 1) + 2


def relative_position_buckets(frames: int, *, buckets: int, max_distance: int, device: torch.device) -> Tensor:
    """Bucket of key minus query position, shape (frames, frames): exact when near, logarithmic when far.

    The first half of the buckets is for keys at or before the query, the second for those after.
    """
    half = buckets // 2
    exact = half // 2
    offsets = torch.arange(1 - frames, frames, device=device)
    distance = offsets.abs()
    octave = torch.log(distance.clamp(min=1).float() / exact) / math.log(max_distance / exact)
    far = (exact + octave * (half - exact)).long().clamp(max=half - 1)
    bucket = torch.where(distance < exact, distance, far) + (offsets > 0) * half
    positions = torch.arange(frames, device=device)
    return bucket[positions[None, :] - positions[:, None] + frames - 1]


class WavLM(Wav2Vec2Family):
    """WavLM. The caller normalises each clip for Large, not for Base and Base+."""

    model_type = "wavlm"
    published_defaults: ClassVar[Mapping[str, Any]] = WAVLM

    def _attention(self, settings: Mapping[str, Any], layer: int) -> SelfAttention:
        return GatedAttention(settings, owns_bias=layer == 0)

    @classmethod
    def _contradictions(cls, settings: Mapping[str, Any]) -> list[str]:
        faults = super()._contradictions(settings)
        if settings["num_buckets"] % 4 or settings["max_bucket_distance"] <= settings["num_buckets"] // 4:
            faults.append("num_buckets is not a multiple of 4, or max_bucket_distance is not above a quarter of it")
        return faults

    def position_layer(self) -> None:
        return None  # attention has a bias by distance

    def _position_bias(self, frames: int, device: torch.device) -> Tensor:
        buckets = relative_position_buckets(
            frames,
            buckets=self._settings["num_buckets"],
            max_distance=self._settings["max_bucket_distance"],
            device=device,
        )
        table: nn.Module = self.get_submodule("encoder.layers.0.attention.rel_attn_embed")
        return table(buckets).permute(2, 0, 1).contiguous()
