"""wav2vec 2.0, HuBERT and WavLM: one implementation; what sets each apart is in its own file.

Parameter names are those of the published Hugging Face weights. Norms stand after each part of a layer in "base" models
and before it in large ones ("stable layer norm").

Reference:
    Baevski et al. (2020), wav2vec 2.0, arXiv 2006.11477, section 2.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from emotune.models.backbones.base import Backbone, HiddenStates, mask_of, without_prefix
from emotune.models.backbones.convolutions import FeatureExtractor
from emotune.models.backbones.derived import Derived
from emotune.models.backbones.layouts import Layout, Packed, Padded
from emotune.models.backbones.product import dense, is_plain, product

OLD_WEIGHT_NORM = {
    "pos_conv_embed.conv.weight_g": "pos_conv_embed.conv.parametrizations.weight.original0",
    "pos_conv_embed.conv.weight_v": "pos_conv_embed.conv.parametrizations.weight.original1",
}
LARGE_SHAPE = {
    "hidden_size": 1024,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "intermediate_size": 4096,
    "feat_extract_norm": "layer",
    "do_stable_layer_norm": True,
}
"""Where published large configs differ from base ones; those of HuBERT and wav2vec 2.0 have `conv_bias` too."""


class FeatureProjection(nn.Module):
    """From the channels of the front end to the features of the transformer."""

    def __init__(self, channels: int, hidden_size: int, *, norm: bool, eps: float, dropout: float) -> None:
        super().__init__()
        self.layer_norm = nn.LayerNorm(channels, eps=eps) if norm else nn.Identity()
        self.projection = nn.Linear(channels, hidden_size)
        self.dropout = nn.Dropout(dropout)

    def forward(self, features: Tensor) -> Tensor:
        return self.dropout(dense(self.projection, self.layer_norm(features)))


class PositionalConvolution(nn.Module):
    """A wide grouped convolution in the place of position embeddings, weight-normed over each tap."""

    def __init__(self, hidden_size: int, kernel: int, groups: int) -> None:
        super().__init__()
        convolution = nn.Conv1d(hidden_size, hidden_size, kernel, padding=kernel // 2, groups=groups)
        nn.init.normal_(convolution.weight, std=2 / math.sqrt(kernel * hidden_size))
        nn.init.zeros_(convolution.bias)  # pyright: ignore[reportArgumentType]
        self.conv = nn.utils.parametrizations.weight_norm(convolution, dim=2)
        self.padding, self.groups = kernel // 2, groups

    def forward(self, hidden: Tensor, layout: Layout) -> Tensor:
        """What each frame learns of its place, (..., features) in the layout."""
        weight, bias = self.conv.weight, self.conv.bias  # the norm is worked out once for all clips
        assert isinstance(weight, Tensor) and isinstance(bias, Tensor)

        def convolve(frames: Tensor) -> Tensor:
            positions = F.conv1d(frames.transpose(1, 2), weight, bias, padding=self.padding, groups=self.groups)
            return F.gelu(positions[:, :, : frames.shape[1]]).transpose(1, 2)  # an even kernel gives one frame more

        return layout.along_time(convolve, hidden)


class Attention(nn.Module):
    """Self-attention with a bias in every projection."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        super().__init__()
        hidden_size = settings["hidden_size"]
        self.heads: int = settings["num_attention_heads"]
        self.dropout: float = settings["attention_dropout"]
        self.q_proj = nn.Linear(hidden_size, hidden_size)
        self.k_proj = nn.Linear(hidden_size, hidden_size)
        self.v_proj = nn.Linear(hidden_size, hidden_size)
        self.out_proj = nn.Linear(hidden_size, hidden_size)
        self._fused = Derived()

    def forward(self, hidden: Tensor, layout: Layout) -> Tensor:
        """Shape (..., features) in and out, in the layout."""
        query, key, value, gate = self._project(hidden)
        dropout = self.dropout if self.training else 0.0
        return dense(self.out_proj, layout.attend(query, key, value, gate, heads=self.heads, dropout=dropout))

    def _project(self, hidden: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
        """Query, key, value, each (..., features), and the gate, (..., heads): in one product where nothing forbids."""
        modules = [self.q_proj, self.k_proj, self.v_proj]
        if torch.is_grad_enabled() or not all(map(is_plain, self._projections())):
            query, key, value = (dense(module, hidden) for module in modules)
            return query, key, value, self._gate(self._gate_input(hidden))
        weights = [tensor for module in self._projections() for tensor in (module.weight, module.bias)]
        weight, bias = self._fused(self._fuse, weights)
        size = hidden.shape[-1]
        query, key, value, rest = product(hidden, weight, bias).split([size, size, size, len(bias) - 3 * size], dim=-1)
        return query, key, value, self._gate(rest)

    def _projections(self) -> list[nn.Linear]:
        """The linear layers that read the input of the attention."""
        return [self.q_proj, self.k_proj, self.v_proj]

    def _fuse(self) -> tuple[Tensor, Tensor]:
        """One weight and bias for query, key, value and what the gate needs."""
        modules = [self.q_proj, self.k_proj, self.v_proj]
        return torch.cat([module.weight for module in modules]), torch.cat([module.bias for module in modules])

    def _gate_input(self, hidden: Tensor) -> Tensor:
        """What the gate is made of, from the input of the attention."""
        return hidden

    def _gate(self, gate_input: Tensor) -> Tensor | None:
        """What each query multiplies the position bias by, (..., heads); None = there is no position bias."""
        return None


class FeedForward(nn.Module):
    """The two dense layers of a transformer layer."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        super().__init__()
        self.intermediate_dense = nn.Linear(settings["hidden_size"], settings["intermediate_size"])
        self.intermediate_dropout = nn.Dropout(settings["activation_dropout"])
        self.output_dense = nn.Linear(settings["intermediate_size"], settings["hidden_size"])
        self.output_dropout = nn.Dropout(settings["hidden_dropout"])

    def forward(self, hidden: Tensor) -> Tensor:
        hidden = self.intermediate_dropout(F.gelu(dense(self.intermediate_dense, hidden)))
        return self.output_dropout(dense(self.output_dense, hidden))


class EncoderLayer(nn.Module):
    """A transformer layer, its norms after each part or before."""

    def __init__(self, attention: Attention, settings: Mapping[str, Any]) -> None:
        super().__init__()
        self.attention = attention
        self.dropout = nn.Dropout(settings["hidden_dropout"])
        self.layer_norm = nn.LayerNorm(settings["hidden_size"], eps=settings["layer_norm_eps"])
        self.feed_forward = FeedForward(settings)
        self.final_layer_norm = nn.LayerNorm(settings["hidden_size"], eps=settings["layer_norm_eps"])
        self.norm_first: bool = settings["do_stable_layer_norm"]

    def forward(self, hidden: Tensor, layout: Layout) -> Tensor:
        """Shape (..., features) in and out, in the layout."""
        if self.norm_first:
            hidden = hidden + self.dropout(self.attention(self.layer_norm(hidden), layout))
            return hidden + self.feed_forward(self.final_layer_norm(hidden))
        hidden = self.layer_norm(hidden + self.dropout(self.attention(hidden, layout)))
        return self.final_layer_norm(hidden + self.feed_forward(hidden))


class Encoder(nn.Module):
    """Positions and transformer layers. With norms first there is no norm here: the published one is a final norm."""

    def __init__(self, attentions: Sequence[Attention], settings: Mapping[str, Any]) -> None:
        super().__init__()
        self.pos_conv_embed = PositionalConvolution(
            settings["hidden_size"], settings["num_conv_pos_embeddings"], settings["num_conv_pos_embedding_groups"]
        )
        norm = nn.LayerNorm(settings["hidden_size"], eps=settings["layer_norm_eps"])
        self.layer_norm = None if settings["do_stable_layer_norm"] else norm
        self.dropout = nn.Dropout(settings["hidden_dropout"])
        self.layers = nn.ModuleList(EncoderLayer(attention, settings) for attention in attentions)
        self.layerdrop: float = settings["layerdrop"]

    def forward(self, hidden: Tensor, layout: Layout) -> list[Tensor]:
        """The input of the first layer and each layer's raw output, each shape (..., features) in the layout."""
        hidden = hidden + self.pos_conv_embed(hidden, layout)
        if self.layer_norm is not None:
            hidden = self.layer_norm(hidden)
        states = [self.dropout(hidden)]
        for index, layer in enumerate(self.layers):
            dropped = self.training and index > 0 and self.layerdrop > 0 and float(torch.rand(())) < self.layerdrop
            states.append(states[-1] if dropped else layer(states[-1], layout))
        return states


class Wav2Vec2Family(Backbone):
    """A speech encoder of this family, of any size, cut after any layer.

    Without a graph, on a CPU, a batch is packed: each clip goes through the convolutions and the attention alone and
    through the linear layers with all others, and no work is spent on padding. Otherwise it is padded and masked.
    """

    layers_key = "num_hidden_layers"
    obeys_do_normalize = True
    sublayer_ends: ClassVar[Mapping[str, str]] = {"attention": "out_proj", "feed_forward": "output_dense"}
    common_defaults: ClassVar[Mapping[str, Any]] = {
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
        "layer_norm_eps": 1e-5,
        "hidden_dropout": 0.1,
        "activation_dropout": 0.1,
        "attention_dropout": 0.1,
        "feat_proj_dropout": 0.0,
        "layerdrop": 0.0,
    }
    heads_on_top: ClassVar[tuple[str, ...]] = ()  # parts of published models that stand on the encoder, by prefix

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
            norm=settings.get("feat_proj_layer_norm", True),
            eps=settings["layer_norm_eps"],
            dropout=settings["feat_proj_dropout"],
        )
        self.encoder = Encoder([self._attention(settings, index) for index in range(self.num_layers)], settings)
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

    def _attention(self, settings: Mapping[str, Any], layer: int) -> Attention:
        """The attention of a layer, counted from 0."""
        return Attention(settings)

    def _position_bias(self, frames: int, device: torch.device) -> Tensor | None:
        """A bias that depends on positions alone, shape (heads, frames, frames), the same in all layers, or None."""
        return None

    @classmethod
    def _contradictions(cls, settings: Mapping[str, Any]) -> list[str]:
        faults = [
            f"{key} is {settings[key]!r}, only 'gelu' is supported"
            for key in ("hidden_act", "feat_extract_activation")
            if settings[key] != "gelu"
        ]
        if settings["feat_extract_norm"] not in ("group", "layer"):
            faults.append(f"feat_extract_norm is {settings['feat_extract_norm']!r}, expected 'group' or 'layer'")
        for key in ("add_adapter", "conv_pos_batch_norm"):
            if settings.get(key):
                faults.append(f"{key} is true, expected false: this part of published models is not supported")
        for key in ("num_attention_heads", "num_conv_pos_embedding_groups"):
            if settings["hidden_size"] % settings[key]:
                faults.append(
                    f"{key} is {settings[key]}, expected a divisor of hidden_size = {settings['hidden_size']}"
                )
        if len({len(settings[key]) for key in ("conv_dim", "conv_kernel", "conv_stride")}) > 1:
            faults.append("conv_dim, conv_kernel and conv_stride have different lengths, expected one length")
        return faults

    def forward(self, waveforms: Tensor, mask: Tensor) -> HiddenStates:
        lengths, padded = self._lengths(mask)
        waveforms = waveforms.masked_fill(~mask, 0).to(next(self.feature_extractor.parameters()).dtype)
        if self._can_pack(waveforms):
            clips = self._clips(waveforms, lengths)
            hidden = self.feature_projection(torch.cat(clips))
            counts = [len(clip) for clip in clips]
            layout: Layout = Packed(counts, self._position_bias(max(counts), hidden.device))
        else:
            features = self._features(waveforms, lengths, padded=padded)
            hidden = self.feature_projection(features)
            frame_mask = mask_of(self.frame_count(lengths), features.shape[1])
            layout = Padded(frame_mask, self._position_bias(features.shape[1], hidden.device), is_padded=padded)
        return layout.states(self.encoder(hidden, layout))

    def _features(self, waveforms: Tensor, lengths: Tensor, *, padded: bool) -> Tensor:
        """The front end's output, shape (batch, frames, channels)."""
        if _without_graph(self.feature_extractor, waveforms):
            return nn.utils.rnn.pad_sequence(self._clips(waveforms, lengths), batch_first=True)
        return self.feature_extractor(waveforms, lengths if padded else None)

    def _clips(self, waveforms: Tensor, lengths: Tensor) -> list[Tensor]:
        """The front end's output for each clip, shape (frames, channels)."""
        counts: list[int] = lengths.tolist()
        return [
            self.feature_extractor.of_a_clip(waveform[:count])
            for waveform, count in zip(waveforms, counts, strict=True)
        ]

    def _can_pack(self, waveforms: Tensor) -> bool:
        trains = self.training or any(layer.training for layer in self.encoder.layers)  # dropout is drawn padded
        return not trains and _without_graph(self, waveforms)

    def frame_count(self, samples: Tensor) -> Tensor:
        return self.feature_extractor.frame_count(samples)

    def front_end(self) -> list[nn.Module]:
        return [self.feature_extractor]

    def layer_modules(self) -> list[nn.Module]:
        return list(self.encoder.layers)

    def adapt_state_dict(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Strip the prefix, take both spellings of the weight norm; drop `masked_spec_embed`, what stands on top, the
        layers that are not kept and, with stable layer norm, `encoder.layer_norm`: there it is the final norm, which no
        raw state passes.
        """
        kept = {key: tensor for key, tensor in state.items() if not key.startswith(self.heads_on_top)}
        adapted = {}
        for key, tensor in without_prefix(kept, "feature_extractor.conv_layers.0.conv.weight").items():
            name = key
            for old, new in OLD_WEIGHT_NORM.items():
                name = name.replace(old, new)
            is_final_norm = name.startswith("encoder.layer_norm.") and self._settings["do_stable_layer_norm"]
            if not (name == "masked_spec_embed" or is_final_norm or self._is_cut(name, "encoder.layers.")):
                adapted[name] = tensor
        return adapted


def _without_graph(module: nn.Module, waveforms: Tensor) -> bool:
    """Whether a module can run clip by clip: on a CPU, with nothing to differentiate, not under a compiler."""
    if waveforms.device.type != "cpu" or torch.compiler.is_compiling():
        return False
    trains = waveforms.requires_grad or any(parameter.requires_grad for parameter in module.parameters())
    return not (torch.is_grad_enabled() and trains)
