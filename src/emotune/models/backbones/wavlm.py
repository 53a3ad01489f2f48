"""WavLM Base, Base+ and Large: our own forward, equal to the published models'.

Unlike the usual implementation it runs on fused attention, lets adapters on the attention's projections act, and gives
a clip the same states in a batch as alone for the group-norm models (Base, Base+) too.

Reference:
    Chen et al. (2022), WavLM: Large-Scale Self-Supervised Pre-Training for Full Stack Speech Processing,
    arXiv 2110.13900, section III: gated relative position bias.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from emotune.models.backbones.base import Backbone, HiddenStates, mask_of, split_heads, without_prefix
from emotune.models.backbones.skeleton import Encoder, FeatureExtractor, FeatureProjection


class GatedAttention(nn.Module):
    """Self-attention with a relative position bias that each query gates for itself.

    The bias table is layer 0's, which alone has `rel_attn_embed`; every layer has its own gate.
    """

    def __init__(self, settings: Mapping[str, Any], *, owns_bias: bool) -> None:
        super().__init__()
        hidden_size = settings["hidden_size"]
        self.heads: int = settings["num_attention_heads"]
        self.dropout: float = settings["attention_dropout"]
        self.q_proj = nn.Linear(hidden_size, hidden_size)
        self.k_proj = nn.Linear(hidden_size, hidden_size)
        self.v_proj = nn.Linear(hidden_size, hidden_size)
        self.out_proj = nn.Linear(hidden_size, hidden_size)
        self.gru_rel_pos_linear = nn.Linear(hidden_size // self.heads, 8)
        self.gru_rel_pos_const = nn.Parameter(torch.ones(1, self.heads, 1, 1))
        if owns_bias:
            self.rel_attn_embed = nn.Embedding(settings["num_buckets"], self.heads)

    def forward(self, hidden: Tensor, mask: Tensor | None, position_bias: Tensor) -> Tensor:
        """Attend; hidden (batch, frames, features), mask (batch, frames), position_bias (heads, frames, frames)."""
        query, key, value = (split_heads(p(hidden), self.heads) for p in (self.q_proj, self.k_proj, self.v_proj))
        bias = (self._gate(hidden) * position_bias).to(query.dtype)
        if mask is not None:
            bias = bias.masked_fill(~mask[:, None, None, :], -math.inf)
        dropout = self.dropout if self.training else 0.0
        attended = F.scaled_dot_product_attention(query, key, value, attn_mask=bias, dropout_p=dropout)
        return self.out_proj(attended.transpose(1, 2).flatten(2))

    def _gate(self, hidden: Tensor) -> Tensor:
        """What the position bias of each query is multiplied by, shape (batch, heads, frames, 1)."""
        projected = self.gru_rel_pos_linear(split_heads(hidden, self.heads))
        update, reset = projected.unflatten(-1, (2, 4)).sum(dim=-1).sigmoid().split(1, dim=-1)
        return update * (reset * self.gru_rel_pos_const - 1) + 2


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


class WavLM(Backbone):
    """WavLM of any size, cut after any layer. The caller normalises each clip for Large, not for Base and Base+."""

    model_type = "wavlm"
    layers_key = "num_hidden_layers"
    published_defaults: ClassVar[Mapping[str, Any]] = {
        "hidden_size": 768,
        "num_hidden_layers": 12,
        "num_attention_heads": 12,
        "intermediate_size": 3072,
        "hidden_act": "gelu",
        "feat_extract_activation": "gelu",
        "feat_extract_norm": "group",
        "do_stable_layer_norm": False,
        "conv_dim": [512, 512, 512, 512, 512, 512, 512],
        "conv_kernel": [10, 3, 3, 3, 3, 2, 2],
        "conv_stride": [5, 2, 2, 2, 2, 2, 2],
        "conv_bias": False,
        "num_conv_pos_embeddings": 128,
        "num_conv_pos_embedding_groups": 16,
        "num_buckets": 320,
        "max_bucket_distance": 800,
        "add_adapter": False,
        "layer_norm_eps": 1e-5,
        "hidden_dropout": 0.1,
        "activation_dropout": 0.1,
        "attention_dropout": 0.1,
        "feat_proj_dropout": 0.0,
        "layerdrop": 0.0,
    }

    def __init__(self, settings: Mapping[str, Any], *, layers: int | None = None) -> None:
        super().__init__(settings, layers=layers)
        self.feature_extractor = FeatureExtractor(
            settings["conv_dim"],
            settings["conv_kernel"],
            settings["conv_stride"],
            bias=settings["conv_bias"],
            norm=settings["feat_extract_norm"],
        )
        self.feature_projection = FeatureProjection(
            settings["conv_dim"][-1],
            settings["hidden_size"],
            eps=settings["layer_norm_eps"],
            dropout=settings["feat_proj_dropout"],
        )
        attentions = [GatedAttention(settings, owns_bias=index == 0) for index in range(self.num_layers)]
        self.encoder = Encoder(attentions, settings)
        for module in self.encoder.layers.modules():
            if isinstance(module, nn.Linear | nn.Embedding):
                nn.init.normal_(module.weight, std=0.02)
            if isinstance(module, nn.Linear):
                nn.init.zeros_(module.bias)
        self.hidden_size = settings["hidden_size"]
        self.frame_rate_hz = 16000 / math.prod(settings["conv_stride"])
        self.normalize = "clip" if settings["feat_extract_norm"] == "layer" else "none"
        self.min_samples = self.feature_extractor.min_samples()
        self.max_samples = None

    @classmethod
    def _contradictions(cls, settings: Mapping[str, Any]) -> list[str]:
        faults = [
            f"{key} is {settings[key]!r}, only 'gelu' is supported"
            for key in ("hidden_act", "feat_extract_activation")
            if settings[key] != "gelu"
        ]
        if settings["feat_extract_norm"] not in ("group", "layer"):
            faults.append(f"feat_extract_norm is {settings['feat_extract_norm']!r}, expected 'group' or 'layer'")
        if settings["add_adapter"]:
            faults.append("add_adapter is true, expected false: the published adapter layers are not supported")
        for key in ("num_attention_heads", "num_conv_pos_embedding_groups"):
            if settings["hidden_size"] % settings[key]:
                faults.append(
                    f"{key} is {settings[key]}, expected a divisor of hidden_size = {settings['hidden_size']}"
                )
        if len({len(settings[key]) for key in ("conv_dim", "conv_kernel", "conv_stride")}) > 1:
            faults.append("conv_dim, conv_kernel and conv_stride have different lengths, expected one length")
        if settings["num_buckets"] % 4 or settings["max_bucket_distance"] <= settings["num_buckets"] // 4:
            faults.append("num_buckets is not a multiple of 4, or max_bucket_distance is not above a quarter of it")
        return faults

    def forward(self, waveforms: Tensor, mask: Tensor) -> HiddenStates:
        lengths, padded = self._lengths(mask)
        dtype = self.feature_projection.projection.weight.dtype
        waveforms = waveforms.masked_fill(~mask, 0).to(dtype)
        features = self.feature_extractor(waveforms, lengths if padded else None)
        frame_mask = mask_of(self.frame_count(lengths), features.shape[1])
        hidden = self.feature_projection(features)
        bias = self._position_bias(features.shape[1], features.device)
        return HiddenStates(self.encoder(hidden, frame_mask if padded else None, bias), frame_mask)

    def _position_bias(self, frames: int, device: torch.device) -> Tensor:
        """The bias before gating, shape (heads, frames, frames), one for all layers and clips."""
        buckets = relative_position_buckets(
            frames,
            buckets=self._settings["num_buckets"],
            max_distance=self._settings["max_bucket_distance"],
            device=device,
        )
        table: nn.Module = self.get_submodule("encoder.layers.0.attention.rel_attn_embed")
        return table(buckets).permute(2, 0, 1).contiguous()

    def frame_count(self, samples: Tensor) -> Tensor:
        return self.feature_extractor.frame_count(samples)

    def front_end(self) -> list[nn.Module]:
        return [self.feature_extractor]

    def layer_modules(self) -> list[nn.Module]:
        return list(self.encoder.layers)

    def adapt_state_dict(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Strip the prefix, take both spellings of the weight norm; drop `masked_spec_embed`, the layers that are not
        kept and, with stable layer norm, `encoder.layer_norm`: there it is the final norm, which no raw state passes.
        """
        adapted = {}
        for key, tensor in without_prefix(state, "feature_extractor.conv_layers.0.conv.weight").items():
            name = key.replace("pos_conv_embed.conv.weight_g", "pos_conv_embed.conv.parametrizations.weight.original0")
            name = name.replace("pos_conv_embed.conv.weight_v", "pos_conv_embed.conv.parametrizations.weight.original1")
            is_final_norm = name.startswith("encoder.layer_norm.") and self._settings["do_stable_layer_norm"]
            if not (name == "masked_spec_embed" or is_final_norm or self._is_cut(name, "encoder.layers.")):
                adapted[name] = tensor
        return adapted
