"""w2v-BERT 2.0: a Conformer over two windows of a filter bank a frame, with positions relative to each query.

Reference:
    Chung et al. (2021), w2v-BERT, arXiv 2108.06209; Seamless Communication (2023), Seamless, arXiv 2312.05187,
    section 3.2.1 (version 2.0). Gulati et al. (2020), Conformer, arXiv 2005.08100. Shaw et al. (2018), Self-Attention
    with Relative Position Representations, arXiv 1803.02155, equation 4.
"""

# pyright: strict, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from emotune.models.backbones.base import Backbone, HiddenStates, mask_of, split_heads
from emotune.models.backbones.filter_bank import HOP, STRIDE, WINDOW, filter_frame_count, normed_filter_bank
from emotune.models.backbones.layouts import Layout, Packed, Padded
from emotune.models.backbones.product import dense, product
from emotune.models.backbones.published import WAV2VEC2_BERT
from emotune.models.backbones.transformer import FeatureProjection


class RelativeAttention(nn.Module):
    """Self-attention in which each query meets, beside every key, an embedding of the key's distance.

    Distances beyond ``left`` before a query and ``right`` behind it count as these.
    """

    def __init__(self, settings: Mapping[str, Any]) -> None:
        super().__init__()
        hidden_size = settings["hidden_size"]
        self.heads: int = settings["num_attention_heads"]
        self.dropout: float = settings["attention_dropout"]
        self.left: int = settings["left_max_position_embeddings"]
        self.right: int = settings["right_max_position_embeddings"]
        self.linear_q = nn.Linear(hidden_size, hidden_size)
        self.linear_k = nn.Linear(hidden_size, hidden_size)
        self.linear_v = nn.Linear(hidden_size, hidden_size)
        self.linear_out = nn.Linear(hidden_size, hidden_size)
        self.distance_embedding = nn.Embedding(self.left + 1 + self.right, hidden_size // self.heads)

    def forward(self, hidden: Tensor, layout: Layout) -> Tensor:
        """Shape (..., features) in and out, in the layout."""
        projected = torch.cat([dense(part, hidden) for part in (self.linear_q, self.linear_k, self.linear_v)], dim=-1)
        padding = layout.padding if isinstance(layout, Padded) else None

        def attend(clips: Tensor) -> Tensor:
            return self._attend(clips, padding)

        return dense(self.linear_out, layout.along_time(attend, projected))

    def _attend(self, projected: Tensor, padding: Tensor | None) -> Tensor:
        """Query, key and value side by side, (batch, frames, 3 * features) -> (batch, frames, features)."""
        query, key, value = (split_heads(part, self.heads) for part in projected.chunk(3, dim=2))
        frames = torch.arange(projected.shape[1], device=projected.device)
        distances = (frames[None, :] - frames[:, None]).clamp(-self.left, self.right) + self.left
        met = query @ self.distance_embedding.weight.to(query.dtype).T  # one score a distance, not a pair of frames
        bias = met.gather(3, distances.expand(*met.shape[:2], -1, -1)) / math.sqrt(query.shape[3])
        if padding is not None:
            bias = bias.masked_fill(padding[:, None, None, :], -math.inf)
        dropout = self.dropout if self.training else 0.0
        attended = F.scaled_dot_product_attention(query, key, value, attn_mask=bias, dropout_p=dropout)
        return attended.transpose(1, 2).flatten(2)


class ConvolutionModule(nn.Module):
    """A gated convolution of each feature over the frames up to its own."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        super().__init__()
        features, kernel = settings["hidden_size"], settings["conv_depthwise_kernel_size"]
        self.layer_norm = nn.LayerNorm(features, eps=settings["layer_norm_eps"])
        self.pointwise_conv1 = nn.Conv1d(features, 2 * features, 1, bias=False)
        self.depthwise_conv = nn.Conv1d(features, features, kernel, groups=features, bias=False)
        self.depthwise_layer_norm = nn.LayerNorm(features, eps=settings["layer_norm_eps"])
        self.pointwise_conv2 = nn.Conv1d(features, features, 1, bias=False)
        self.dropout = nn.Dropout(settings["conformer_conv_dropout"])
        self.before = kernel - 1

    def forward(self, hidden: Tensor, layout: Layout) -> Tensor:
        """Shape (..., features) in and out, in the layout."""
        gated = F.glu(product(self.layer_norm(hidden), self.pointwise_conv1.weight[:, :, 0], None), dim=-1)
        convolved = layout.along_time(self._convolve, gated)
        active = F.silu(self.depthwise_layer_norm(convolved))
        return self.dropout(product(active, self.pointwise_conv2.weight[:, :, 0], None))

    def _convolve(self, frames: Tensor) -> Tensor:
        return self.depthwise_conv(F.pad(frames.transpose(1, 2), (self.before, 0))).transpose(1, 2)


class FeedForward(nn.Module):
    """The two dense layers of a half step."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        super().__init__()
        self.intermediate_dense = nn.Linear(settings["hidden_size"], settings["intermediate_size"])
        self.intermediate_dropout = nn.Dropout(settings["activation_dropout"])
        self.output_dense = nn.Linear(settings["intermediate_size"], settings["hidden_size"])
        self.output_dropout = nn.Dropout(settings["hidden_dropout"])

    def forward(self, hidden: Tensor) -> Tensor:
        hidden = self.intermediate_dropout(F.silu(dense(self.intermediate_dense, hidden)))
        return self.output_dropout(dense(self.output_dense, hidden))


class ConformerLayer(nn.Module):
    """Half a feed-forward step, attention, convolution, half a step, and a norm."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        super().__init__()

        def norm() -> nn.LayerNorm:
            return nn.LayerNorm(settings["hidden_size"], eps=settings["layer_norm_eps"])

        self.ffn1_layer_norm, self.ffn1 = norm(), FeedForward(settings)
        self.self_attn_layer_norm, self.self_attn = norm(), RelativeAttention(settings)
        self.self_attn_dropout = nn.Dropout(settings["attention_dropout"])
        self.conv_module = ConvolutionModule(settings)
        self.ffn2_layer_norm, self.ffn2 = norm(), FeedForward(settings)
        self.final_layer_norm = norm()

    def forward(self, hidden: Tensor, layout: Layout) -> Tensor:
        """Shape (..., features) in and out, in the layout."""
        hidden = hidden + 0.5 * self.ffn1(self.ffn1_layer_norm(hidden))
        hidden = hidden + self.self_attn_dropout(self.self_attn(self.self_attn_layer_norm(hidden), layout))
        hidden = hidden + self.conv_module(hidden, layout)
        hidden = hidden + 0.5 * self.ffn2(self.ffn2_layer_norm(hidden))
        return self.final_layer_norm(hidden)


class Conformer(nn.Module):
    """The layers in a row."""

    def __init__(self, settings: Mapping[str, Any], *, layers: int) -> None:
        super().__init__()
        self.dropout = nn.Dropout(settings["hidden_dropout"])
        self.layers = nn.ModuleList(ConformerLayer(settings) for _ in range(layers))


class Wav2Vec2BERT(Backbone):
    """w2v-BERT 2.0, cut after any layer; every layer ends with its norm, and there is no other behind the last.

    It takes the waveform as it is (`normalize` is "none"): the filter bank is normed inside. An odd window at the end
    of a clip counts for the norm and gives no frame. `front_end` is the projection of the filter bank.
    """

    model_type = "wav2vec2-bert"
    anchor = "feature_projection.projection.weight"
    layers_key = "num_hidden_layers"
    sublayer_ends: ClassVar[Mapping[str, str]] = {"attention": "linear_out", "feed_forward": "output_dense"}
    published_defaults: ClassVar[Mapping[str, Any]] = WAV2VEC2_BERT

    def __init__(self, settings: Mapping[str, Any], *, layers: int | None = None) -> None:
        super().__init__(settings, layers=layers)
        self.feature_projection = FeatureProjection(
            settings["feature_projection_input_dim"],
            settings["hidden_size"],
            norm=True,
            eps=settings["layer_norm_eps"],
            dropout=settings["feat_proj_dropout"],
        )
        self.encoder = Conformer(settings, layers=self.num_layers)
        for module in self.encoder.modules():
            if isinstance(module, nn.Linear | nn.Embedding):
                nn.init.normal_(module.weight, std=0.02)
            if isinstance(module, nn.Linear):
                nn.init.zeros_(module.bias)
            if isinstance(module, nn.Conv1d):
                nn.init.kaiming_normal_(module.weight)
        self.layerdrop = settings["layerdrop"]
        self.hidden_size = settings["hidden_size"]
        self.frame_rate_hz = 16000 / (STRIDE * HOP)
        self.normalize = "none"
        self.min_samples = WINDOW + HOP
        self.max_samples = None

    @classmethod
    def _contradictions(cls, settings: Mapping[str, Any]) -> list[str]:
        faults = []
        for key, only in (("hidden_act", "swish"), ("position_embeddings_type", "relative_key")):
            if settings[key] != only:
                faults.append(f"{key} is {settings[key]!r}, only {only!r} is supported")
        for key in ("add_adapter", "use_intermediate_ffn_before_adapter"):
            if settings[key]:
                faults.append(f"{key} is true, expected false: this part of published models is not supported")
        if settings["final_norm"]:
            faults.append("final_norm is true, but in this model every layer ends with its norm and there is no other")
        if settings["hidden_size"] % settings["num_attention_heads"]:
            faults.append(
                f"num_attention_heads is {settings['num_attention_heads']}, expected a divisor of"
                f" hidden_size = {settings['hidden_size']}"
            )
        if settings["feature_projection_input_dim"] % STRIDE:
            faults.append(f"feature_projection_input_dim is odd, expected {STRIDE} windows of a filter bank")
        if settings["conv_depthwise_kernel_size"] % 2 == 0:
            faults.append("conv_depthwise_kernel_size is even, expected an odd number")
        return faults

    def forward(self, waveforms: Tensor, mask: Tensor) -> HiddenStates:
        lengths, padded = self._lengths(mask)
        features = self._features(waveforms.masked_fill(~mask, 0), lengths)
        counts = self.frame_count(lengths)
        frame_mask = mask_of(counts, features.shape[1])
        if self._can_pack(features):
            hidden = self.feature_projection(features[frame_mask])
            layout: Layout = Packed(counts.tolist(), None)
        else:
            hidden = self.feature_projection(features)
            layout = Padded(frame_mask, None, is_padded=padded)
        return layout.states(self.states_of(self.encoder.layers, self.encoder.dropout(hidden), layout))

    def _features(self, waveforms: Tensor, lengths: Tensor) -> Tensor:
        """Two windows of the filter bank side by side, shape (batch, frames, 2 * bins)."""
        bins = self._settings["feature_projection_input_dim"] // STRIDE
        windows = normed_filter_bank(waveforms, lengths, bins=bins)
        frames = windows.shape[1] // STRIDE
        pairs = windows[:, : STRIDE * frames].unflatten(1, (frames, STRIDE)).flatten(2)
        return pairs.to(self.feature_projection.projection.weight.dtype)

    def _can_pack(self, features: Tensor) -> bool:
        if features.device.type != "cpu" or torch.compiler.is_compiling() or self.training:
            return False
        trains = any(parameter.requires_grad for parameter in self.parameters())
        return not (torch.is_grad_enabled() and trains) and not any(layer.training for layer in self.encoder.layers)

    def frame_count(self, samples: Tensor) -> Tensor:
        return torch.div(filter_frame_count(samples), STRIDE, rounding_mode="floor")

    def front_end(self) -> list[nn.Module]:
        return [self.feature_projection]

    def layer_modules(self) -> list[nn.Module]:
        return list(self.encoder.layers)

    def adapt_state_dict(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Strips the prefix; drops `masked_spec_embed`, the parts on top, and the layers that are not kept."""
        return {
            name: tensor
            for name, tensor in self._encoder_of(state).items()
            if name != "masked_spec_embed" and not self._is_cut(name, "encoder.layers.")
        }
