"""A tiny encoder of our own: a log-mel spectrogram, then depthwise convolutions over time between dense layers.

It is made to be taught by a larger model and to run on a phone: 440,000 weights with its defaults, .04 GFLOP a second
of sound. Nobody published weights of it; it begins with random ones.

Reference:
    Depthwise convolution, then a norm, then two dense layers, is the block of Liu et al. (2022), A ConvNet for the
    2020s, arXiv 2201.03545, section 2.6, here over time alone.
"""

# pyright: strict, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from emotune.models.backbones.base import Backbone, HiddenStates, mask_of
from emotune.models.backbones.layouts import Padded
from emotune.models.backbones.log_mel import HOP, log_mel, mel_frame_count
from emotune.models.backbones.product import dense
from emotune.models.backbones.published import DEPTHWISE
from emotune.models.backbones.short_transform import short_power_spectra

_STRIDE = 2  # frames of the spectrogram side by side


class DepthwiseLayer(nn.Module):
    """Each feature over neighbouring frames, then all features of each frame, added to the input."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        super().__init__()
        features, kernel = settings["hidden_size"], settings["conv_kernel_size"]
        self.depthwise_conv = nn.Conv1d(features, features, kernel, padding=kernel // 2, groups=features)
        self.layer_norm = nn.LayerNorm(features)
        self.intermediate_dense = nn.Linear(features, settings["intermediate_size"])
        self.output_dense = nn.Linear(settings["intermediate_size"], features)
        self.dropout = nn.Dropout(settings["hidden_dropout"])

    def forward(self, hidden: Tensor, layout: Padded) -> Tensor:
        """Shape (batch, frames, features) in and out, in the layout."""
        mixed = self.layer_norm(layout.along_time(self._convolve, hidden))
        return hidden + self.dropout(dense(self.output_dense, F.gelu(dense(self.intermediate_dense, mixed))))

    def _convolve(self, frames: Tensor) -> Tensor:
        return self.depthwise_conv(frames.transpose(1, 2)).transpose(1, 2)


class Depthwise(Backbone):
    """The encoder, of any size. It takes the waveform as it is, and hears nothing of a clip's level.

    From each mel bin its mean over the clip is taken. `front_end` is the projection of the spectrogram.
    """

    model_type = "depthwise"
    anchor = "feature_projection.weight"
    layers_key = "num_hidden_layers"
    sublayer_ends: ClassVar[Mapping[str, str]] = {"feed_forward": "output_dense"}
    published_defaults: ClassVar[Mapping[str, Any]] = DEPTHWISE

    def __init__(self, settings: Mapping[str, Any], *, layers: int | None = None) -> None:
        super().__init__(settings, layers=layers)
        self.bins: int = settings["num_mel_bins"]
        self.feature_projection = nn.Linear(_STRIDE * self.bins, settings["hidden_size"])
        self.layers = nn.ModuleList(DepthwiseLayer(settings) for _ in range(self.num_layers))
        self.dropout = nn.Dropout(settings["hidden_dropout"])
        self.layerdrop = settings["layerdrop"]
        self.hidden_size = settings["hidden_size"]
        self.frame_rate_hz = 16000 / (_STRIDE * HOP)
        self.normalize = "none"
        self.min_samples = _STRIDE * HOP
        self.max_samples = None

    @classmethod
    def _contradictions(cls, settings: Mapping[str, Any]) -> list[str]:
        faults = []
        if settings["conv_kernel_size"] % 2 == 0:
            faults.append("conv_kernel_size is even, expected an odd number")
        if settings["final_norm"]:
            faults.append("final_norm is true, but this encoder has no norm behind its last layer")
        return faults

    def forward(self, waveforms: Tensor, mask: Tensor) -> HiddenStates:
        lengths, padded = self._lengths(mask)
        pairs = self._pairs(waveforms.masked_fill(~mask, 0), lengths)
        frame_mask = mask_of(self.frame_count(lengths), pairs.shape[1])
        layout = Padded(frame_mask, None, is_padded=padded)
        hidden = self.dropout(self.feature_projection(pairs.to(self.feature_projection.weight.dtype)))
        return layout.states(self.states_of(self.layers, hidden, layout))

    def _pairs(self, waveforms: Tensor, lengths: Tensor) -> Tensor:
        """Two frames of the spectrogram side by side, each bin less its mean over the clip.

        Shape (batch, frames, 2 * bins), zero in padding.
        """
        spectrogram = log_mel(waveforms, lengths, bins=self.bins, spectra=short_power_spectra).transpose(1, 2)
        counts = mel_frame_count(lengths)[:, None, None]
        real = mask_of(counts[:, 0, 0], spectrogram.shape[1])[:, :, None]
        centred = (spectrogram - spectrogram.sum(dim=1, keepdim=True) / counts).masked_fill(~real, 0)
        frames = centred.shape[1] // _STRIDE
        return centred[:, : _STRIDE * frames].unflatten(1, (frames, _STRIDE)).flatten(2)

    def frame_count(self, samples: Tensor) -> Tensor:
        return torch.div(mel_frame_count(samples), _STRIDE, rounding_mode="floor")

    def front_end(self) -> list[nn.Module]:
        return [self.feature_projection]

    def layer_modules(self) -> list[nn.Module]:
        return list(self.layers)

    def adapt_state_dict(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Strips the prefix; drops the layers that are not kept."""
        return {name: tensor for name, tensor in self._encoder_of(state).items() if not self._is_cut(name, "layers.")}
