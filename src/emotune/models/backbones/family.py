"""wav2vec 2.0 and its kin: one implementation; what sets each apart is in its own file.

Parameter names are those of the published Hugging Face weights. Norms stand after each part of a layer in "base" models
and before it in large ones ("stable layer norm").

Reference:
    Baevski et al. (2020), wav2vec 2.0, arXiv 2006.11477, section 2.
"""

# pyright: strict, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from emotune.models.backbones.base import Backbone, HiddenStates, mask_of
from emotune.models.backbones.convolutions import FeatureExtractor
from emotune.models.backbones.layouts import Layout, Packed, Padded
from emotune.models.backbones.remembered import RememberedClips
from emotune.models.backbones.transformer import (
    FeatureProjection,
    PositionalConvolution,
    SelfAttention,
    TransformerEncoder,
    contradictory_sizes,
)

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


class Wav2Vec2Family(Backbone):
    """A speech encoder of this family, of any size, cut after any layer.

    Without a graph, on a CPU, a batch is packed: each clip goes through the convolutions and the attention alone and
    through the linear layers with all others, and no work is spent on padding. Otherwise it is padded and masked.
    """

    layers_key = "num_hidden_layers"
    obeys_do_normalize = True
    sublayer_ends: ClassVar[Mapping[str, str]] = {"attention": "out_proj", "feed_forward": "output_dense"}
    anchor = "feature_extractor.conv_layers.0.conv.weight"
    remembered_clips: RememberedClips | None = None

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
        self.encoder = TransformerEncoder(
            [self._attention(settings, index) for index in range(self.num_layers)], self._positions(settings), settings
        )
        for module in self.encoder.layers.modules():
            if isinstance(module, nn.Linear | nn.Embedding):
                nn.init.normal_(module.weight, std=0.02)
            if isinstance(module, nn.Linear):
                nn.init.zeros_(module.bias)
        self.hidden_size = settings["hidden_size"]
        self.frame_rate_hz = 16000 / math.prod(settings["conv_stride"])
        self.layerdrop = settings["layerdrop"]
        self.normalize = "clip" if settings["feat_extract_norm"] == "layer" else "none"
        self.min_samples = self.feature_extractor.min_samples()
        self.max_samples = None

    def _attention(self, settings: Mapping[str, Any], layer: int) -> SelfAttention:
        """The attention of a layer, counted from 0."""
        return SelfAttention(settings)

    def _positions(self, settings: Mapping[str, Any]) -> nn.Module:
        """Position embeddings: hidden states, (..., features), and layout to the same shape."""
        return PositionalConvolution(
            settings["hidden_size"], settings["num_conv_pos_embeddings"], settings["num_conv_pos_embedding_groups"]
        )

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
        if settings["final_norm"] and not settings["do_stable_layer_norm"]:
            faults.append("final_norm is true, but in this model every layer ends with its norm and there is no other")
        return faults + contradictory_sizes(settings)

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
        return layout.states(self.encoder(hidden, layout, self.states_of))

    def _features(self, waveforms: Tensor, lengths: Tensor, *, padded: bool) -> Tensor:
        """The front end's output, shape (batch, frames, channels)."""
        if _without_graph(self.feature_extractor, waveforms):
            return nn.utils.rnn.pad_sequence(self._clips(waveforms, lengths), batch_first=True)
        return self.feature_extractor(waveforms, lengths if padded else None)

    def _clips(self, waveforms: Tensor, lengths: Tensor) -> list[Tensor]:
        """The front end's output for each clip, shape (frames, channels)."""
        counts: list[int] = lengths.tolist()
        clips = [waveform[:count] for waveform, count in zip(waveforms, counts, strict=True)]
        if self.remembered_clips is None:
            return self.feature_extractor.of_each_clip(clips)
        return self.remembered_clips.of_each_clip(self.feature_extractor.of_each_clip, clips)

    def position_layer(self) -> nn.Module | None:
        return self.encoder.pos_conv_embed

    def remember_front_end(self, *, most_gb: float) -> None:
        self.remembered_clips = RememberedClips(most_gb=most_gb)

    def _can_pack(self, waveforms: Tensor) -> bool:
        trains = self.training or any(layer.training for layer in self.encoder.layers)  # dropout is drawn padded
        return not trains and _without_graph(self, waveforms)

    def frame_count(self, samples: Tensor) -> Tensor:
        return self.feature_extractor.frame_count(samples)

    def front_end(self) -> list[nn.Module]:
        return [self.feature_extractor]

    def layer_modules(self) -> list[nn.Module]:
        return list(self.encoder.layers)

    @property
    def final_norm(self) -> nn.Module | None:
        return self.encoder.layer_norm if self.encoder.norm_last else None

    def adapt_state_dict(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Strips the prefix, takes both spellings of the weight norm and drops the weights that are not kept.

        These are `masked_spec_embed`, the parts on top, the layers above the last one that is kept and, with stable
        layer norm, `encoder.layer_norm`: there it is the final norm, which is kept only with `final_norm`.
        """
        adapted = {}
        for key, tensor in self._encoder_of(state).items():
            name = key
            for old, new in OLD_WEIGHT_NORM.items():
                name = name.replace(old, new)
            is_left_out = name.startswith("encoder.layer_norm.") and self.encoder.layer_norm is None
            if not (name == "masked_spec_embed" or is_left_out or self._is_cut(name, "encoder.layers.")):
                adapted[name] = tensor
        return adapted


def _without_graph(module: nn.Module, waveforms: Tensor) -> bool:
    """Tells if a module can run clip by clip: on a CPU, with nothing to differentiate, not under a compiler."""
    if waveforms.device.type != "cpu" or torch.compiler.is_compiling():
        return False
    trains = waveforms.requires_grad or any(parameter.requires_grad for parameter in module.parameters())
    return not (torch.is_grad_enabled() and trains)
