"""Linear layers in whole numbers of eight bits, for prediction on processors with VNNI instructions.

Weights have a scale for each output, inputs one for each row, worked out as they come: a clip's answer does not depend
on what it is batched with, and a loud clip does not spoil a quiet one beside it.
"""

# pyright: strict, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

import functools

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from emotune.errors import ConfigError
from emotune.models.backbones.convolutions import ConvolutionLayer, FeatureExtractor
from emotune.models.backbones.product import bias_of, is_plain
from emotune.models.backbones.transformer import FeedForward, PositionalConvolution, SelfAttention
from emotune.models.backbones.whisper import SelfAttention as WhisperAttention
from emotune.models.backbones.whisper import WhisperLayer

_LARGEST, _ZERO = 127, 128  # of a weight; of an input, where zero is put since only unsigned inputs are fast
_LEAST_GELU, _ZERO_OF_GELU = 0.17, 64  # GELU gives nothing below minus this, so that more steps are left above zero
_AFTER_GELU = {(FeedForward, "output_dense"), (WhisperLayer, "fc2")}
_LEAST_SCALE = 1e-20  # of a row of zeros
_LEAST_OUTPUTS = 64  # below, a product is not worth it
_SENSITIVE = {(WhisperAttention, "v_proj"), (WhisperAttention, "out_proj")}
_WIDE = 1024  # inputs from which even those are rounded: the wider, the more time an exact product takes


class EightBitLinear(nn.Module):
    """A linear layer that multiplies whole numbers of eight bits, without a graph.

    Args:
        weight: shape (outputs, inputs).
        bias: shape (outputs,).
        after_gelu: whether inputs are outputs of GELU, whose least value is known.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None, *, after_gelu: bool = False) -> None:
        super().__init__()
        scales = weight.abs().amax(dim=1).clamp(min=_LEAST_SCALE) / _LARGEST
        whole = (weight / scales[:, None]).round().to(torch.int8)
        self.weight = torch.ops.onednn.qlinear_prepack(whole, None)
        self.scales = scales
        self.zeros = torch.zeros(len(weight), dtype=torch.int32)
        self.bias = torch.zeros(len(weight)) if bias is None else bias.detach().clone()
        self.after_gelu = after_gelu
        self.zero = _ZERO_OF_GELU if after_gelu else _ZERO
        self.middle = torch.full((weight.shape[1],), self.zero + 0.5)

    def forward(self, hidden: Tensor) -> Tensor:
        """Shape (..., inputs) to (..., outputs)."""
        rows = hidden if hidden.ndim == 2 else hidden.flatten(0, -2)
        outputs = self._of_rows(rows)
        return outputs if hidden.ndim == 2 else outputs.unflatten(0, hidden.shape[:-1])

    def _of_rows(self, rows: Tensor) -> Tensor:
        largest = rows.amax(dim=1, keepdim=True)
        if self.after_gelu:
            scales = largest.div_(255 - self.zero).clamp_(min=_LEAST_GELU / self.zero)
        else:
            largest = torch.maximum(largest, rows.amin(dim=1, keepdim=True).neg_())
            scales = largest.clamp_(min=_LEAST_SCALE).div_(_LARGEST)
        return self.of_whole(rounded(rows, scales, self.middle), scales)

    def of_whole(self, whole: Tensor, scales: Tensor) -> Tensor:
        """Output for rounded rows, shape (rows, inputs), with the scale of each, shape (rows, 1), or of all of them."""
        outputs = torch.ops.onednn.qlinear_pointwise(
            *(whole, 1.0, self.zero, self.weight, self.scales, self.zeros),
            *(None, 1.0, 0, torch.float32, "none", [], ""),
        )
        return torch.addcmul(self.bias, outputs, scales, out=outputs)


class EightBitPositions(nn.Module):
    """The wide convolution of positions in whole numbers: a product over windows for each group, one scale a clip.

    Args:
        weight: shape (outputs, inputs of a group, taps).
        bias: shape (outputs,).
        groups: of channels that see each other.
    """

    def __init__(self, weight: Tensor, bias: Tensor, groups: int) -> None:
        super().__init__()
        over_windows = weight.transpose(1, 2).flatten(1)
        self.products = nn.ModuleList(map(EightBitLinear, over_windows.chunk(groups), bias.chunk(groups)))
        self.taps, self.width = weight.shape[2], weight.shape[1]
        self.middle = torch.full((self.width,), _ZERO + 0.5)

    def forward(self, frames: Tensor) -> Tensor:
        """Shape (batch, frames, features) in and out; what lies before and behind a clip reads as zero."""
        return torch.stack([self._of_a_clip(clip) for clip in frames])

    def _of_a_clip(self, clip: Tensor) -> Tensor:
        count, edge = len(clip), self.taps // 2
        groups = F.pad(clip, (0, 0, edge, edge)).unflatten(1, (-1, self.width)).transpose(0, 1)
        scale = clip.abs().amax().clamp_(min=_LEAST_SCALE).div_(_LARGEST)
        outputs: list[Tensor] = []
        for product, whole in zip(self.products, rounded(groups, scale, self.middle).contiguous(), strict=True):
            assert isinstance(product, EightBitLinear)
            windows = whole.as_strided((count, self.taps * self.width), (self.width, 1)).contiguous()
            outputs.append(product.of_whole(windows, scale))
        return torch.cat(outputs, dim=1)


def rounded(values: Tensor, scales: Tensor, middle: Tensor) -> Tensor:
    """Values in steps of a scale, unsigned; a half is added and the fraction cut off, which gives the nearest.

    Args:
        values: shape (..., width).
        scales: that broadcast with them.
        middle: step of zero and a half, for each of the width, which PyTorch adds as it multiplies.
    """
    return torch.addcmul(middle, values, scales.reciprocal()).to(torch.uint8)


@functools.cache
def has_eight_bits() -> bool:
    """Tells if this processor and this PyTorch multiply whole numbers of eight bits quickly and without overflow."""
    return (
        torch.backends.mkldnn.is_available()
        and torch.cpu._is_vnni_supported()  # pyright: ignore[reportPrivateUsage, reportPrivateImportUsage]
        and hasattr(torch.ops.onednn, "qlinear_pointwise")
    )


@torch.no_grad()
def to_eight_bits(encoder: nn.Module) -> None:
    """Replaces an encoder's linear layers, in place, and lets its front end multiply whole numbers.

    Layers that something else was made of, such as an adapter, stay as they are. So do values and outputs of Whisper's
    attention in narrow encoders, where rounding them makes a third of the error or more, and saves a tenth of
    the time.

    Raises:
        ConfigError: on a processor that cannot do it quickly.
    """
    if not has_eight_bits():
        raise ConfigError(
            "Precision int8 needs a processor with VNNI instructions, and this one has none that PyTorch uses."
            " Leave --precision out, or export the model: `emotune export --precision int8`."
        )
    for module in list(encoder.modules()):
        if isinstance(module, SelfAttention):
            _join(module)
        elif isinstance(module, FeatureExtractor):
            for layer in list(module.conv_layers)[1:]:
                assert isinstance(layer, ConvolutionLayer)
                layer.in_eight_bits = EightBitLinear(layer.matrix(), layer.conv.bias, after_gelu=True)
        elif isinstance(module, PositionalConvolution):
            weight, bias = module.conv.weight, module.conv.bias
            assert isinstance(weight, Tensor) and isinstance(bias, Tensor)
            module.in_eight_bits = EightBitPositions(weight, bias, module.groups)
    for module in list(encoder.modules()):
        for name, child in module.named_children():
            if is_plain(child) and child.out_features >= _LEAST_OUTPUTS and not _stays_exact(module, name, child):
                after_gelu = (type(module), name) in _AFTER_GELU
                setattr(module, name, EightBitLinear(child.weight, bias_of(child), after_gelu=after_gelu))


def _stays_exact(module: nn.Module, name: str, linear: nn.Linear) -> bool:
    return (type(module), name) in _SENSITIVE and linear.in_features < _WIDE


def _join(attention: SelfAttention) -> None:
    """Makes one product of query, key and value, so that their input is rounded once."""
    projections = [attention.q_proj, attention.k_proj, attention.v_proj]
    if all(map(is_plain, projections)):
        weight = torch.cat([projection.weight for projection in projections])
        attention.joined = EightBitLinear(weight, torch.cat([projection.bias for projection in projections]))
        del attention.q_proj, attention.k_proj, attention.v_proj
