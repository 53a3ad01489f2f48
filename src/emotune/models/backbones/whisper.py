"""The encoder of OpenAI's Whisper: our own forward, for clips of their own length instead of 30 s of mostly silence.

On a clip of 30 s it equals the published encoder. Shorter clips are not filled up: the position embedding is cut to
the clip's length and padding is masked, so a clip gives the same states alone and in a batch.

Reference:
    Radford et al. (2022), Robust Speech Recognition via Large-Scale Weak Supervision, arXiv 2212.04356, section 2.2.
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
from emotune.models.backbones.log_mel import HOP, log_mel, mel_frame_count
from emotune.models.backbones.product import bias_of, dense
from emotune.models.backbones.published import WHISPER


class SelfAttention(nn.Module):
    """Self-attention over the real frames of a clip; the keys have no bias."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        super().__init__()
        self.heads: int = settings["encoder_attention_heads"]
        self.dropout: float = settings["attention_dropout"]
        self.q_proj = nn.Linear(settings["d_model"], settings["d_model"])
        self.k_proj = nn.Linear(settings["d_model"], settings["d_model"], bias=False)
        self.v_proj = nn.Linear(settings["d_model"], settings["d_model"])
        self.out_proj = nn.Linear(settings["d_model"], settings["d_model"])

    def forward(self, hidden: Tensor, mask: Tensor | None) -> Tensor:
        query, key, value = (split_heads(dense(p, hidden), self.heads) for p in (self.q_proj, self.k_proj, self.v_proj))
        keys = None if mask is None else mask[:, None, None, :]
        dropout = self.dropout if self.training else 0.0
        attended = F.scaled_dot_product_attention(query, key, value, attn_mask=keys, dropout_p=dropout)
        return dense(self.out_proj, attended.transpose(1, 2).flatten(2))


class FixedPositions(nn.Module):
    """The position embedding under its published name; a buffer, since it never trains."""

    weight: Tensor

    def __init__(self, positions: int, features: int) -> None:
        super().__init__()
        self.register_buffer("weight", sinusoids(positions, features))

    def forward(self, hidden: Tensor) -> Tensor:
        """Positions of as many frames: shape (batch, frames, features) to (frames, features)."""
        return self.weight[: hidden.shape[1]]


class WhisperLayer(nn.Module):
    """A transformer layer with its norms first."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        super().__init__()
        self.self_attn = SelfAttention(settings)
        self.self_attn_layer_norm = nn.LayerNorm(settings["d_model"])
        self.fc1 = nn.Linear(settings["d_model"], settings["encoder_ffn_dim"])
        self.fc2 = nn.Linear(settings["encoder_ffn_dim"], settings["d_model"])
        self.final_layer_norm = nn.LayerNorm(settings["d_model"])
        self.dropout = nn.Dropout(settings["dropout"])
        self.activation_dropout = nn.Dropout(settings["activation_dropout"])

    def forward(self, hidden: Tensor, mask: Tensor | None) -> Tensor:
        """Shape (batch, frames, features) in and out; mask (batch, frames), None = nothing is padded."""
        hidden = hidden + self.dropout(self.self_attn(self.self_attn_layer_norm(hidden), mask))
        inner = self.activation_dropout(F.gelu(dense(self.fc1, self.final_layer_norm(hidden))))
        return hidden + self.dropout(dense(self.fc2, inner))


class Whisper(Backbone):
    """The Whisper encoder of any size, cut after any layer, its final norm left out or kept.

    It takes the waveform as it is (`normalize` is "none"). A clip beyond 30 s, the length of the published encoder's
    positions, is encoded in windows of 30 s, each as if it were a clip: they follow each other without overlap, none
    hears another, and the last is as long as what is left. Their frames stand in a row, 50 a second all through.
    """

    window_samples: int

    model_type = "whisper"
    anchor = "conv1.weight"
    layers_key = "encoder_layers"
    sublayer_ends: ClassVar[Mapping[str, str]] = {"attention": "out_proj", "feed_forward": "fc2"}
    published_defaults: ClassVar[Mapping[str, Any]] = WHISPER

    def __init__(self, settings: Mapping[str, Any], *, layers: int | None = None) -> None:
        super().__init__(settings, layers=layers)
        features, positions = settings["d_model"], settings["max_source_positions"]
        self.conv1 = nn.Conv1d(settings["num_mel_bins"], features, kernel_size=3, padding=1)
        self.conv2 = nn.Conv1d(features, features, kernel_size=3, stride=2, padding=1)
        self.embed_positions = FixedPositions(positions, features)
        self.dropout = nn.Dropout(settings["dropout"])
        self.layers = nn.ModuleList(WhisperLayer(settings) for _ in range(self.num_layers))
        for module in self.layers.modules():
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=0.02)
                if (bias := bias_of(module)) is not None:
                    nn.init.zeros_(bias)
        self.layer_norm = nn.LayerNorm(features) if settings["final_norm"] else None
        self.hidden_size = features
        self.layerdrop = settings["encoder_layerdrop"]
        self.frame_rate_hz = 16000 / (2 * HOP)
        self.normalize = "none"
        self.min_samples = HOP
        self.max_samples = None
        self.window_samples = positions * 2 * HOP  # pyright: ignore[reportIncompatibleVariableOverride]

    @classmethod
    def _contradictions(cls, settings: Mapping[str, Any]) -> list[str]:
        faults = []
        if settings["activation_function"] != "gelu":
            faults.append(f"activation_function is {settings['activation_function']!r}, only 'gelu' is supported")
        for divisor, why in ((settings["encoder_attention_heads"], "encoder_attention_heads"), (2, "2 (sinusoids)")):
            if settings["d_model"] % divisor:
                faults.append(f"d_model is {settings['d_model']}, expected a multiple of {why} = {divisor}")
        return faults

    def forward(self, waveforms: Tensor, mask: Tensor) -> HiddenStates:
        lengths, padded = self._lengths(mask)
        if not torch.compiler.is_compiling() and int(lengths.max()) > self.window_samples:
            return self._in_windows(waveforms, lengths)
        return self._encoded(waveforms.masked_fill(~mask, 0)[:, : self.window_samples], lengths, padded=padded)

    def _in_windows(self, waveforms: Tensor, lengths: Tensor) -> HiddenStates:
        """The windows of all clips as one batch, and their states in a row again."""
        counts: list[int] = lengths.tolist()
        windows, shares = list[Tensor](), list[int]()
        for waveform, count in zip(waveforms, counts, strict=True):
            parts = waveform[:count].split(self.window_samples)
            parts = parts if len(parts[-1]) >= self.min_samples else parts[:-1]  # it would not give a frame
            windows += parts
            shares.append(len(parts))
        padded = nn.utils.rnn.pad_sequence(windows, batch_first=True)
        samples = torch.tensor([len(window) for window in windows], device=waveforms.device)
        hidden = self._encoded(padded, samples, padded=True)
        joined = [
            nn.utils.rnn.pad_sequence(
                [part[real] for part, real in zip(state.split(shares), hidden.mask.split(shares), strict=True)],
                batch_first=True,
            )
            for state in hidden.states
        ]
        return HiddenStates(tuple(joined), mask_of(self.frame_count(lengths), joined[0].shape[1]))

    def spectrogram(self, waveforms: Tensor, mask: Tensor) -> Tensor:
        """Log-mel spectrograms of padded clips, both of shape (batch, samples): (batch, bins, frames).

        Of clips of at most one window; what is beyond it is left out.
        """
        waveforms = waveforms.masked_fill(~mask, 0)[:, : self.window_samples]
        return log_mel(waveforms, self._lengths(mask)[0], bins=self._settings["num_mel_bins"])

    def of_spectrogram(self, spectrogram: Tensor, mask: Tensor) -> HiddenStates:
        """States for spectrograms as ``spectrogram`` gives them, with the mask of the clips, shape (batch, samples)."""
        lengths, padded = self._lengths(mask)
        return self._states(spectrogram, lengths, padded=padded)

    def _encoded(self, waveforms: Tensor, lengths: Tensor, *, padded: bool) -> HiddenStates:
        """States of clips of at most one window, whose padding is zero."""
        return self._states(log_mel(waveforms, lengths, bins=self._settings["num_mel_bins"]), lengths, padded=padded)

    def _states(self, spectrogram: Tensor, lengths: Tensor, *, padded: bool) -> HiddenStates:
        spectrogram = spectrogram.to(self.conv1.weight.dtype)
        hidden = F.gelu(self.conv1(spectrogram))
        if padded:
            hidden = hidden.masked_fill(~mask_of(mel_frame_count(lengths), hidden.shape[2])[:, None, :], 0)
        hidden = F.gelu(self.conv2(hidden)).transpose(1, 2)
        frame_mask = mask_of(self.frame_count(lengths), hidden.shape[1])
        hidden = self.dropout(hidden + self.embed_positions(hidden))
        states = self.states_of(self.layers, hidden, frame_mask if padded else None)
        if self.layer_norm is not None:
            states[-1] = self.layer_norm(states[-1])
        return HiddenStates(tuple(states), frame_mask)

    def frame_count(self, samples: Tensor) -> Tensor:
        return torch.div(mel_frame_count(samples) - 1, 2, rounding_mode="floor") + 1

    def position_layer(self) -> nn.Module:
        return self.embed_positions

    def front_end(self) -> list[nn.Module]:
        return [self.conv1, self.conv2]

    def layer_modules(self) -> list[nn.Module]:
        return list(self.layers)

    @property
    def final_norm(self) -> nn.Module | None:
        return self.layer_norm

    def adapt_state_dict(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Strips the prefix; drops the parts on top, and of layers and final norm what is not kept."""
        return {
            name: tensor
            for name, tensor in self._encoder_of(state).items()
            if not (self._is_cut(name, "layers.") or (name.startswith("layer_norm.") and self.layer_norm is None))
        }


def sinusoids(positions: int, features: int) -> Tensor:
    """Sines then cosines of wavelengths from 2 pi to 20000 pi frames, shape (positions, features)."""
    half = features // 2
    if torch.get_default_device().type == "meta":  # without memory; to compute there, PyTorch would load its compiler
        return torch.empty(positions, features)
    rates = torch.exp(-math.log(10000) / max(half - 1, 1) * torch.arange(half))
    angles = torch.arange(positions)[:, None] * rates[None, :]
    return torch.cat([angles.sin(), angles.cos()], dim=1)
