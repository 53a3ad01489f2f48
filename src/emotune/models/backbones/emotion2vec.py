"""emotion2vec and emotion2vec+: data2vec 2.0 for audio, with ALiBi and a few extra tokens before every clip.

Written from its description: convolutions, stacked positions, tokens that stand at no position, and layers with norms
last whose attention is biased by the distance of two frames, each head by its own slope and a scale that is learnt.

Reference:
    Ma et al. (2023), emotion2vec, arXiv 2312.15185; Baevski et al. (2022), data2vec 2.0, arXiv 2212.07525. Press et al.
    (2021), Train Short, Test Long, arXiv 2108.12409 (ALiBi), here for both directions.
"""

# pyright: strict, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from emotune.models.backbones.base import Backbone, HiddenStates, mask_of
from emotune.models.backbones.convolutions import FeatureExtractor
from emotune.models.backbones.data2vec_audio import StackedPositions
from emotune.models.backbones.layouts import Layout, Packed, Padded
from emotune.models.backbones.product import dense
from emotune.models.backbones.published import EMOTION2VEC
from emotune.models.backbones.transformer import FeatureProjection, contradictory_sizes

_AUDIO = "modality_encoders.AUDIO."
_RENAMED: Mapping[str, str] = {
    r"local_encoder\.conv_layers\.(\d+)\.0\.": r"feature_extractor.conv_layers.\1.conv.",
    r"local_encoder\.conv_layers\.(\d+)\.2\.1\.": r"feature_extractor.conv_layers.\1.layer_norm.",
    r"project_features\.1\.": "feature_projection.layer_norm.",
    r"project_features\.2\.": "feature_projection.projection.",
    r"context_encoder\.norm\.": "input_norm.",
}
_POSITION = re.compile(r"relative_positional_encoder\.(\d+)\.0\.")
_LAYER = re.compile(r"(context_encoder\.)?blocks\.(\d+)\.")


class FusedAttention(nn.Module):
    """Self-attention whose query, key and value come from one linear layer."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        super().__init__()
        self.heads: int = settings["num_attention_heads"]
        self.dropout: float = settings["attention_dropout"]
        self.qkv = nn.Linear(settings["hidden_size"], 3 * settings["hidden_size"])
        self.proj = nn.Linear(settings["hidden_size"], settings["hidden_size"])

    def forward(self, hidden: Tensor, layout: Layout, scale: Tensor) -> Tensor:
        """Shape (..., features) in and out; scale of the distances, shape (heads,)."""
        query, key, value = dense(self.qkv, hidden).chunk(3, dim=-1)
        gate = scale.to(hidden.dtype).expand(*hidden.shape[:-1], -1)
        dropout = self.dropout if self.training else 0.0
        return dense(self.proj, layout.attend(query, key, value, gate, heads=self.heads, dropout=dropout))


class Perceptron(nn.Module):
    """The two dense layers of a layer."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        super().__init__()
        self.fc1 = nn.Linear(settings["hidden_size"], settings["intermediate_size"])
        self.fc2 = nn.Linear(settings["intermediate_size"], settings["hidden_size"])
        self.dropout = nn.Dropout(settings["activation_dropout"])

    def forward(self, hidden: Tensor) -> Tensor:
        return self.dropout(dense(self.fc2, self.dropout(F.gelu(dense(self.fc1, hidden)))))


class Emotion2vecLayer(nn.Module):
    """A transformer layer with a norm after each part."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(settings["hidden_size"], eps=settings["layer_norm_eps"])
        self.attn = FusedAttention(settings)
        self.norm2 = nn.LayerNorm(settings["hidden_size"], eps=settings["layer_norm_eps"])
        self.mlp = Perceptron(settings)
        self.dropout = nn.Dropout(settings["hidden_dropout"])

    def forward(self, hidden: Tensor, layout: Layout, scale: Tensor) -> Tensor:
        """Shape (..., features) in and out, in the layout."""
        hidden = self.norm1(hidden + self.dropout(self.attn(hidden, layout, scale)))
        return self.norm2(hidden + self.dropout(self.mlp(hidden)))


class Emotion2vec(Backbone):
    """The encoder, cut after any of its layers; there is no norm behind the last.

    The caller normalises each clip. States are those of the frames: the extra tokens are taken out again.
    """

    model_type = "emotion2vec"
    anchor = f"{_AUDIO}local_encoder.conv_layers.0.0.weight"
    layers_key = "num_hidden_layers"
    sublayer_ends: ClassVar[Mapping[str, str]] = {"attention": "proj", "feed_forward": "fc2"}
    published_defaults: ClassVar[Mapping[str, Any]] = EMOTION2VEC

    def __init__(self, settings: Mapping[str, Any], *, layers: int | None = None) -> None:
        super().__init__(settings, layers=layers)
        features, heads = settings["hidden_size"], settings["num_attention_heads"]
        self.feature_extractor = FeatureExtractor(
            settings["conv_dim"], settings["conv_kernel"], settings["conv_stride"], bias=False, norm="layer"
        )
        self.feature_projection = FeatureProjection(
            settings["conv_dim"][-1], features, norm=True, eps=1e-5, dropout=settings["feat_proj_dropout"]
        )
        self.positions = StackedPositions(settings)
        self.extra_tokens = nn.Parameter(torch.zeros(1, settings["num_extra_tokens"], features))
        nn.init.normal_(self.extra_tokens)
        self.alibi_scale = nn.Parameter(torch.ones(1, 1, heads, 1, 1))
        self.input_norm = nn.LayerNorm(features, eps=settings["layer_norm_eps"])
        self.dropout = nn.Dropout(settings["hidden_dropout"])
        self.layers = nn.ModuleList(Emotion2vecLayer(settings) for _ in range(self.num_layers))
        for module in self.layers.modules():
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)
        self.layerdrop = settings["layerdrop"]
        self.hidden_size = features
        self.frame_rate_hz = 16000 / math.prod(settings["conv_stride"])
        self.normalize = "clip"
        self.min_samples = self.feature_extractor.min_samples()
        self.max_samples = None

    @classmethod
    def _contradictions(cls, settings: Mapping[str, Any]) -> list[str]:
        faults = []
        if settings["hidden_act"] != "gelu":
            faults.append(f"hidden_act is {settings['hidden_act']!r}, only 'gelu' is supported")
        if settings["final_norm"]:
            faults.append("final_norm is true, but in this model every layer ends with its norm and there is no other")
        return faults + contradictory_sizes(settings)

    def forward(self, waveforms: Tensor, mask: Tensor) -> HiddenStates:
        lengths, padded = self._lengths(mask)
        waveforms = waveforms.masked_fill(~mask, 0).to(self.extra_tokens.dtype)
        counts = self.frame_count(lengths)
        extra = self.extra_tokens.shape[1]
        if self._can_pack(waveforms):
            sizes: list[int] = counts.tolist()
            clips = [waveform[:length] for waveform, length in zip(waveforms, lengths.tolist(), strict=True)]
            frames = torch.cat(self.feature_extractor.of_each_clip(clips))
            plain: Layout = Packed(sizes, None)
            hidden = self._placed(frames, plain)
            hidden = torch.cat([part for clip in hidden.split(sizes) for part in (self.extra_tokens[0], clip)])
            layout: Layout = Packed([size + extra for size in sizes], self._distances(max(sizes), hidden))
            real = mask_of(counts + extra, max(sizes) + extra)
            is_frame = (torch.arange(max(sizes) + extra) >= extra).expand_as(real)[real]
            states = [state[is_frame] for state in self._states(hidden, layout)]
            return plain.states(states)
        frames = self.feature_extractor(waveforms, lengths if padded else None)
        frame_mask = mask_of(counts, frames.shape[1])
        plain = Padded(frame_mask, None, is_padded=padded)
        hidden = self._placed(frames, plain)
        tokens = self.extra_tokens.to(hidden.dtype).expand(hidden.shape[0], -1, -1)
        real = F.pad(frame_mask, (extra, 0), value=True)
        layout = Padded(real, self._distances(frames.shape[1], hidden), is_padded=padded)
        states = self._states(torch.cat([tokens, hidden], dim=1), layout)
        return plain.states([state[:, extra:] for state in states])

    def _placed(self, frames: Tensor, layout: Layout) -> Tensor:
        hidden = self.feature_projection(frames)
        return hidden + self.positions(hidden, layout)

    def _distances(self, frames: int, hidden: Tensor) -> Tensor:
        """Bias of each pair before its scale, zero where an extra token is one of them.

        Shape (heads, tokens + frames, tokens + frames).
        """
        extra = self.extra_tokens.shape[1]
        places = torch.arange(frames, device=hidden.device)
        apart = (places[None, :] - places[:, None]).abs().to(hidden.dtype)
        steep = torch.tensor(slopes(self.alibi_scale.shape[2]), dtype=hidden.dtype, device=hidden.device)
        return F.pad(-steep[:, None, None] * apart, (extra, 0, extra, 0))

    def _states(self, hidden: Tensor, layout: Layout) -> list[Tensor]:
        """The input of the first layer and each layer's output, with the extra tokens."""
        scale = self.alibi_scale.clamp(min=0).flatten()
        return self.states_of(self.layers, self.dropout(self.input_norm(hidden)), layout, scale)

    def _can_pack(self, waveforms: Tensor) -> bool:
        if waveforms.device.type != "cpu" or torch.compiler.is_compiling() or self.training:
            return False
        trains = any(parameter.requires_grad for parameter in self.parameters())
        return not (torch.is_grad_enabled() and trains) and not any(layer.training for layer in self.layers)

    def frame_count(self, samples: Tensor) -> Tensor:
        return self.feature_extractor.frame_count(samples)

    def front_end(self) -> list[nn.Module]:
        return [self.feature_extractor]

    def layer_modules(self) -> list[nn.Module]:
        return list(self.layers)

    def adapt_state_dict(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Gives the published names ours; drops the decoder of pre-training and the layers that are not kept."""
        adapted = {self._own_name(name): tensor for name, tensor in self._encoder_of(state).items()}
        return {
            name: tensor
            for name, tensor in adapted.items()
            if not (name.startswith("decoder.") or self._is_cut(name, "layers."))
        }

    def _own_name(self, published: str) -> str:
        name = published.removeprefix(_AUDIO)
        for pattern, ours in _RENAMED.items():
            name = re.sub(rf"^{pattern}", ours, name)
        if found := _POSITION.match(name):
            return f"positions.layers.{int(found[1]) - 1}.conv.{name[found.end() :]}"
        if found := _LAYER.match(name):
            before = 0 if found[1] else self._settings["num_prenet_layers"]
            return f"layers.{before + int(found[2])}.{name[found.end() :]}"
        return name


def slopes(heads: int) -> list[float]:
    """Slope of each head: a geometric row for a power of two, filled up from the next finer one for other numbers.

    >>> slopes(4)
    [0.25, 0.0625, 0.015625, 0.00390625]
    >>> slopes(3)
    [0.0625, 0.00390625, 0.25]
    """
    whole = 2 ** int(math.log2(heads))
    row = [2.0 ** (-8 * (place + 1) / whole) for place in range(whole)]
    finer = [2.0 ** (-8 * (place + 1) / (2 * whole)) for place in range(2 * whole)][::2]
    return row + finer[: heads - whole]
