"""What wav2vec 2.0, HuBERT and WavLM have in common: convolutions over the waveform, then a transformer.

They differ in the attention, which is passed in. Parameter names are those of the published Hugging Face weights.

Reference:
    Baevski et al. (2020), wav2vec 2.0, arXiv 2006.11477, section 2.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from emotune.models.backbones.base import mask_of


class ClipChannelNorm(nn.Module):
    """Group norm with one group a channel, over each clip's own frames only.

    A plain group norm would let the padding into the statistics, and a clip would depend on its neighbours.
    """

    def __init__(self, channels: int, *, eps: float = 1e-5) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.eps = eps

    def forward(self, features: Tensor, lengths: Tensor | None) -> Tensor:
        """Normalise features, shape (batch, channels, frames); lengths, shape (batch,), None = nothing is padded."""
        if lengths is None:
            return F.group_norm(features, features.shape[1], self.weight, self.bias, self.eps)
        exact = features if features.dtype == torch.float64 else features.float()
        padding = ~mask_of(lengths, features.shape[2])[:, None, :]
        frames = lengths[:, None, None]
        mean = exact.masked_fill(padding, 0).sum(dim=2, keepdim=True) / frames
        centred = (exact - mean).masked_fill(padding, 0)
        variance = centred.square().sum(dim=2, keepdim=True) / frames
        scale = torch.rsqrt(variance + self.eps) * self.weight[:, None]
        return (centred * scale + self.bias[:, None]).to(features.dtype)


class ConvolutionLayer(nn.Module):
    """One convolution without padding, its norm ("group", "layer" or None) and GELU."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, *, bias: bool, norm: str | None) -> None:
        super().__init__()
        self.conv = nn.Conv1d(inputs, outputs, kernel, stride, bias=bias)
        nn.init.kaiming_normal_(self.conv.weight)
        if norm == "group":
            self.layer_norm = ClipChannelNorm(outputs)
        elif norm == "layer":
            self.layer_norm = nn.LayerNorm(outputs)
        else:
            self.layer_norm = None

    def forward(self, features: Tensor, lengths: Tensor | None) -> Tensor:
        """Shape (batch, channels, frames) in and out; lengths are those of the output, None = nothing is padded."""
        features = self.conv(features)
        if isinstance(self.layer_norm, ClipChannelNorm):
            features = self.layer_norm(features, lengths)
        elif self.layer_norm is not None:
            features = self.layer_norm(features.transpose(1, 2)).transpose(1, 2)
        return F.gelu(features)


class FeatureExtractor(nn.Module):
    """The convolutional front end: waveforms to frames of features."""

    def __init__(
        self, channels: Sequence[int], kernels: Sequence[int], strides: Sequence[int], *, bias: bool, norm: str
    ) -> None:
        super().__init__()
        self.kernels, self.strides = tuple(kernels), tuple(strides)
        norms = [norm if norm == "layer" or index == 0 else None for index in range(len(channels))]
        self.conv_layers = nn.ModuleList(
            ConvolutionLayer(inputs, outputs, kernel, stride, bias=bias, norm=layer_norm)
            for inputs, outputs, kernel, stride, layer_norm in zip(
                [1, *channels[:-1]], channels, kernels, strides, norms, strict=True
            )
        )

    def forward(self, waveforms: Tensor, lengths: Tensor | None) -> Tensor:
        """Encode waveforms, shape (batch, samples), into shape (batch, frames, channels)."""
        features = waveforms[:, None, :]
        for layer, kernel, stride in zip(self.conv_layers, self.kernels, self.strides, strict=True):
            lengths = None if lengths is None else _convolved(lengths, kernel, stride)
            features = layer(features, lengths)
        return features.transpose(1, 2)

    def frame_count(self, samples: Tensor) -> Tensor:
        for kernel, stride in zip(self.kernels, self.strides, strict=True):
            samples = _convolved(samples, kernel, stride)
        return samples

    def min_samples(self) -> int:
        """Samples that one frame sees."""
        samples = 1
        for kernel, stride in zip(reversed(self.kernels), reversed(self.strides), strict=True):
            samples = (samples - 1) * stride + kernel
        return samples


def _convolved(lengths: Tensor, kernel: int, stride: int) -> Tensor:
    return torch.div(lengths - kernel, stride, rounding_mode="floor") + 1


class FeatureProjection(nn.Module):
    """From the channels of the front end to the features of the transformer."""

    def __init__(self, channels: int, hidden_size: int, *, eps: float, dropout: float) -> None:
        super().__init__()
        self.layer_norm = nn.LayerNorm(channels, eps=eps)
        self.projection = nn.Linear(channels, hidden_size)
        self.dropout = nn.Dropout(dropout)

    def forward(self, features: Tensor) -> Tensor:
        return self.dropout(self.projection(self.layer_norm(features)))


class PositionalConvolution(nn.Module):
    """A wide grouped convolution in the place of position embeddings, weight-normed over each tap."""

    def __init__(self, hidden_size: int, kernel: int, groups: int) -> None:
        super().__init__()
        convolution = nn.Conv1d(hidden_size, hidden_size, kernel, padding=kernel // 2, groups=groups)
        nn.init.normal_(convolution.weight, std=2 / math.sqrt(kernel * hidden_size))
        nn.init.zeros_(convolution.bias)  # pyright: ignore[reportArgumentType]
        self.conv = nn.utils.parametrizations.weight_norm(convolution, dim=2)

    def forward(self, hidden: Tensor) -> Tensor:
        """Positions for hidden, shape (batch, frames, features), whose padded frames must be zero."""
        positions = self.conv(hidden.transpose(1, 2))[:, :, : hidden.shape[1]]  # an even kernel gives one frame more
        return F.gelu(positions).transpose(1, 2)


class FeedForward(nn.Module):
    """The two dense layers of a transformer layer."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        super().__init__()
        self.intermediate_dense = nn.Linear(settings["hidden_size"], settings["intermediate_size"])
        self.intermediate_dropout = nn.Dropout(settings["activation_dropout"])
        self.output_dense = nn.Linear(settings["intermediate_size"], settings["hidden_size"])
        self.output_dropout = nn.Dropout(settings["hidden_dropout"])

    def forward(self, hidden: Tensor) -> Tensor:
        hidden = self.intermediate_dropout(F.gelu(self.intermediate_dense(hidden)))
        return self.output_dropout(self.output_dense(hidden))


class EncoderLayer(nn.Module):
    """A transformer layer, its norms after each part ("base" models) or before ("stable layer norm", large ones)."""

    def __init__(self, attention: nn.Module, settings: Mapping[str, Any]) -> None:
        super().__init__()
        self.attention = attention
        self.dropout = nn.Dropout(settings["hidden_dropout"])
        self.layer_norm = nn.LayerNorm(settings["hidden_size"], eps=settings["layer_norm_eps"])
        self.feed_forward = FeedForward(settings)
        self.final_layer_norm = nn.LayerNorm(settings["hidden_size"], eps=settings["layer_norm_eps"])
        self.norm_first: bool = settings["do_stable_layer_norm"]

    def forward(self, hidden: Tensor, mask: Tensor | None, position_bias: Tensor | None) -> Tensor:
        """Shape (batch, frames, features) in and out; mask (batch, frames), None = nothing is padded."""
        if self.norm_first:
            hidden = hidden + self.dropout(self.attention(self.layer_norm(hidden), mask, position_bias))
            return hidden + self.feed_forward(self.final_layer_norm(hidden))
        hidden = self.layer_norm(hidden + self.dropout(self.attention(hidden, mask, position_bias)))
        return self.final_layer_norm(hidden + self.feed_forward(hidden))


class Encoder(nn.Module):
    """Positions and transformer layers. With norms first there is no norm here: the published one is a final norm."""

    def __init__(self, attentions: Sequence[nn.Module], settings: Mapping[str, Any]) -> None:
        super().__init__()
        self.pos_conv_embed = PositionalConvolution(
            settings["hidden_size"], settings["num_conv_pos_embeddings"], settings["num_conv_pos_embedding_groups"]
        )
        norm = nn.LayerNorm(settings["hidden_size"], eps=settings["layer_norm_eps"])
        self.layer_norm = None if settings["do_stable_layer_norm"] else norm
        self.dropout = nn.Dropout(settings["hidden_dropout"])
        self.layers = nn.ModuleList(EncoderLayer(attention, settings) for attention in attentions)
        self.layerdrop: float = settings["layerdrop"]

    def forward(self, hidden: Tensor, mask: Tensor | None, position_bias: Tensor | None) -> tuple[Tensor, ...]:
        """The input of the first layer and each layer's raw output, each shape (batch, frames, features)."""
        if mask is not None:
            hidden = hidden.masked_fill(~mask[:, :, None], 0)
        hidden = hidden + self.pos_conv_embed(hidden)
        if self.layer_norm is not None:
            hidden = self.layer_norm(hidden)
        states = [self.dropout(hidden)]
        for index, layer in enumerate(self.layers):
            dropped = self.training and index > 0 and self.layerdrop > 0 and float(torch.rand(())) < self.layerdrop
            states.append(states[-1] if dropped else layer(states[-1], mask, position_bias))
        return tuple(states)
