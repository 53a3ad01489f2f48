"""The convolutional front end of the wav2vec 2.0 family: waveforms to frames of features.

Several ways to the same numbers. On a CPU, convolutions are products over windows of frames in the order of time:
norms need no transposition. Without a graph each clip goes alone, in tiles that fit the cache, with no work on padding;
where the front end trains, a padded batch goes at once. Elsewhere it goes through PyTorch's convolutions.

Reference:
    Baevski et al. (2020), wav2vec 2.0, arXiv 2006.11477, section 2.
"""

# pyright: strict, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from emotune.models.backbones.base import mask_of
from emotune.models.backbones.product import product

Count = TypeVar("Count", int, Tensor)
Multiplier = Callable[[Tensor], Tensor]
TILE = 24  # frames of the output that are worked out at once; their layers fill about 3 MB


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
        """Normalises features, shape (batch, channels, frames); lengths, shape (batch,), None = nothing is padded."""
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

    def folded(self, windows: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        """Weight and bias that make a linear map of the clip's windows give convolution and norm in one.

        The statistics follow from the mean and covariance of the windows; a bias of the convolution cancels.

        Args:
            windows: what the convolution sees, shape (frames, taps).
            weight: of the convolution, shape (channels, taps).
        """
        exact, taps = windows.double(), weight.double()
        mean = exact.mean(dim=0)
        centred = exact - mean
        covariance = centred.T @ centred / len(exact)
        variance = ((taps @ covariance) * taps).sum(dim=1)
        scale = torch.rsqrt(variance + self.eps) * self.weight.double()
        shift = self.bias.double() - taps @ mean * scale
        return (taps * scale[:, None]).to(weight.dtype), shift.to(weight.dtype)


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
        self.in_eight_bits: nn.Module | None = None  # its product, for clips in tiles

    def forward(self, features: Tensor, lengths: Tensor | None) -> Tensor:
        """Shape (batch, frames, channels) in and out; lengths are those of the output, None = nothing is padded."""
        if _suits_windows(features):
            features = _ConvolvedWindows.apply(
                features.contiguous(), self.conv.weight, self.conv.bias, self.conv.stride[0]
            )
        else:
            features = self.conv(features.transpose(1, 2)).transpose(1, 2)
        if isinstance(self.layer_norm, ClipChannelNorm):
            features = self.layer_norm(features.transpose(1, 2), lengths).transpose(1, 2)
        elif self.layer_norm is not None:
            features = self.layer_norm(features)
        return F.gelu(features)

    def matrix(self) -> Tensor:
        """The weight as a matrix over the taps of a window in the order of time, shape (outputs, taps * inputs)."""
        return self.conv.weight.transpose(1, 2).flatten(1).contiguous()

    def multiplier(self) -> Multiplier:
        """Product with the weight, windows of shape (frames, taps * inputs) to (frames, outputs)."""
        return self.in_eight_bits or partial(product, weight=self.matrix(), bias=self.conv.bias)

    def of_a_tile(self, frames: Tensor, multiply: Multiplier) -> Tensor:
        """As ``forward`` for a piece of one clip, shape (frames, channels) in and out, without a graph.

        Args:
            frames: contiguous.
            multiply: product with the weight; a group norm is folded in.
        """
        kernel, stride, inputs = self.conv.kernel_size[0], self.conv.stride[0], frames.shape[1]
        count = (len(frames) - kernel) // stride + 1
        windows = frames.as_strided((count, kernel * inputs), (stride * inputs, 1), frames.storage_offset())
        outputs = multiply(windows)
        if isinstance(self.layer_norm, nn.LayerNorm):
            norm = self.layer_norm
            outputs = F.layer_norm(outputs, norm.normalized_shape, norm.weight, norm.bias, norm.eps)
        return torch.ops.aten.gelu_(outputs)


class _ConvolvedWindows(torch.autograd.Function):
    """A convolution without padding as products over windows, (batch, frames, channels) in and out.

    Windows overlap, and a product may copy them: clip by clip, so that there are never copies of a whole batch.
    """

    @staticmethod
    def forward(ctx: Any, features: Tensor, weight: Tensor, bias: Tensor | None, stride: int) -> Tensor:
        ctx.save_for_backward(features, weight)
        ctx.stride = stride
        channels, _, kernel = weight.shape
        matrix = weight.transpose(1, 2).flatten(1).contiguous()
        outputs = features.new_empty(len(features), _convolved(features.shape[1], kernel, stride), channels)
        for clip, output in zip(features, outputs, strict=True):
            output.copy_(product(_windows(clip, kernel, stride), matrix, bias))
        return outputs

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, gradient: Tensor
    ) -> tuple[Tensor | None, Tensor | None, Tensor | None, None]:
        features, weight = ctx.saved_tensors
        kernel, stride = weight.shape[2], ctx.stride
        for_features, for_weight, for_bias = ctx.needs_input_grad[:3]
        of_features = torch.zeros_like(features) if for_features else None
        of_matrix = weight.new_zeros(len(weight), kernel * features.shape[2]) if for_weight else None
        matrix = weight.permute(2, 1, 0).flatten(0, 1).contiguous()
        for place, (clip, rows) in enumerate(zip(features, gradient, strict=True)):
            if of_matrix is not None:
                of_matrix.addmm_(rows.T, _windows(clip, kernel, stride))
            if of_features is not None:
                _add_up(product(rows, matrix, None).unflatten(1, (kernel, -1)), stride, of_features[place])
        of_weight = None if of_matrix is None else of_matrix.unflatten(1, (kernel, -1)).transpose(1, 2)
        return of_features, of_weight, gradient.sum(dim=(0, 1)) if for_bias else None, None


def _windows(clip: Tensor, kernel: int, stride: int) -> Tensor:
    """Windows that the output frames see, (frames, channels) -> (fewer frames, kernel * channels)."""
    frames, channels = clip.shape
    shape = (_convolved(frames, kernel, stride), kernel * channels)
    return clip.as_strided(shape, (stride * channels, 1), clip.storage_offset())


def _add_up(windows: Tensor, stride: int, total: Tensor) -> None:
    """Adds windows to the frames that they see, (windows, kernel, channels) to (frames, channels)."""
    _, kernel, channels = windows.shape
    for start in range(0, kernel, stride):
        piece = windows[:, start : start + stride]
        place = total.as_strided(
            piece.shape, (stride * channels, channels, 1), total.storage_offset() + start * channels
        )
        place += piece


def _suits_windows(features: Tensor) -> bool:
    """Tells whether a convolution is taken as a product: on a CPU, in the precision that was asked for."""
    on_cpu = features.device.type == "cpu"
    return on_cpu and not torch.is_autocast_enabled("cpu") and not torch.compiler.is_compiling()


class FeatureExtractor(nn.Module):
    """The convolutional front end."""

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
        """Encodes a padded batch, shape (batch, samples), into shape (batch, frames, channels)."""
        features = waveforms[:, :, None]
        for layer, kernel, stride in zip(self.conv_layers, self.kernels, self.strides, strict=True):
            lengths = None if lengths is None else _convolved(lengths, kernel, stride)
            features = layer(features, lengths)
        return features

    @torch.no_grad()
    def of_each_clip(self, waveforms: Sequence[Tensor]) -> list[Tensor]:
        """Encodes clips, each (samples,), into (frames, channels) each, tile by tile and without a graph.

        Hooks on parts of the front end are not called.
        """
        layers = self._layers()
        multipliers = [layer.multiplier() for layer in layers]
        return [self._of_a_clip(waveform, layers, multipliers) for waveform in waveforms]

    def _of_a_clip(
        self, waveform: Tensor, layers: Sequence[ConvolutionLayer], multipliers: Sequence[Multiplier]
    ) -> Tensor:
        first = layers[0].layer_norm
        if isinstance(first, ClipChannelNorm):
            weight, bias = first.folded(waveform.unfold(0, self.kernels[0], self.strides[0]), layers[0].matrix())
            multipliers = [partial(product, weight=weight, bias=bias), *multipliers[1:]]
        frames, hop = self.frame_count(len(waveform)), self.hop()
        encoded = waveform.new_empty(frames, layers[-1].conv.out_channels)
        for start in range(0, frames, TILE):
            end = min(start + TILE, frames)
            tile = waveform[start * hop : (end - 1) * hop + self.min_samples(), None]
            for layer, multiply in zip(layers, multipliers, strict=True):
                tile = layer.of_a_tile(tile, multiply)
            encoded[start:end] = tile
        return encoded

    def _layers(self) -> list[ConvolutionLayer]:
        return [layer for layer in self.conv_layers if isinstance(layer, ConvolutionLayer)]

    def frame_count(self, samples: Count) -> Count:
        for kernel, stride in zip(self.kernels, self.strides, strict=True):
            samples = _convolved(samples, kernel, stride)
        return samples

    def hop(self) -> int:
        """Samples from one frame to the next."""
        return self._seen_by(2) - self._seen_by(1)

    def min_samples(self) -> int:
        """Samples that one frame sees."""
        return self._seen_by(1)

    def _seen_by(self, frames: int) -> int:
        for kernel, stride in zip(reversed(self.kernels), reversed(self.strides), strict=True):
            frames = (frames - 1) * stride + kernel
        return frames


def _convolved(lengths: Count, kernel: int, stride: int) -> Count:
    return (lengths - kernel) // stride + 1
