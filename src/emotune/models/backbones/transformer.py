"""The transformer of the wav2vec 2.0 family: positions by convolution, layers with norms after each part or before.

Everything works on tensors (..., features) in a layout, padded or packed; see ``layouts``.
"""

# pyright: strict, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from emotune.models.backbones.dropout import Dropout
from emotune.models.backbones.layouts import Layout
from emotune.models.backbones.product import dense, is_plain, product, suits_cpu


class FeatureProjection(nn.Module):
    """From the channels of the front end to the features of the transformer."""

    def __init__(self, channels: int, hidden_size: int, *, norm: bool, eps: float, dropout: float) -> None:
        super().__init__()
        self.layer_norm = nn.LayerNorm(channels, eps=eps) if norm else nn.Identity()
        self.projection = nn.Linear(channels, hidden_size)
        self.dropout = Dropout(dropout)

    def forward(self, features: Tensor) -> Tensor:
        return self.dropout(dense(self.projection, self.layer_norm(features)))


class PositionalConvolution(nn.Module):
    """A wide grouped convolution in the place of position embeddings, weight-normed over each tap.

    On a CPU it is a product for each tap, forwards and backwards: twice as fast as oneDNN's convolution in groups.
    """

    def __init__(self, hidden_size: int, kernel: int, groups: int) -> None:
        super().__init__()
        convolution = nn.Conv1d(hidden_size, hidden_size, kernel, padding=kernel // 2, groups=groups)
        nn.init.normal_(convolution.weight, std=2 / math.sqrt(kernel * hidden_size))
        nn.init.zeros_(convolution.bias)  # pyright: ignore[reportArgumentType]
        self.conv = nn.utils.parametrizations.weight_norm(convolution, dim=2)
        self.padding, self.groups = kernel // 2, groups
        self.fixed: tuple[Tensor, Tensor] | None = None  # taps and bias of weights that do not change any more
        self.in_eight_bits: nn.Module | None = None  # what takes the place of the convolution

    def fix(self) -> None:
        """Works out the weight of each tap for good; it must not change afterwards."""
        taps, bias = self._taps()
        self.fixed = taps.detach(), bias.detach()

    def _taps(self) -> tuple[Tensor, Tensor]:
        """Weight of each tap, shape (taps, groups, inputs, outputs), and the bias; the norm is worked out here."""
        weight, bias = self.conv.weight, self.conv.bias
        assert isinstance(weight, Tensor) and isinstance(bias, Tensor)
        return weight.unflatten(0, (self.groups, -1)).permute(3, 0, 2, 1).contiguous(), bias

    def forward(self, hidden: Tensor, layout: Layout) -> Tensor:
        """Position embedding of each frame, (..., features) in the layout."""
        if (whole := self.in_eight_bits) is not None:
            return layout.along_time(lambda frames: torch.ops.aten.gelu_(whole(frames)), hidden)
        if suits_cpu(hidden):
            taps, bias = self.fixed if self.fixed is not None and not torch.is_grad_enabled() else self._taps()
            return layout.along_time(lambda frames: F.gelu(_ConvolvedByTaps.apply(frames, taps) + bias), hidden)
        weight, bias = self.conv.weight, self.conv.bias  # the norm is worked out once for all clips
        assert isinstance(weight, Tensor) and isinstance(bias, Tensor)

        def convolve(frames: Tensor) -> Tensor:
            positions = F.conv1d(frames.transpose(1, 2), weight, bias, padding=self.padding, groups=self.groups)
            return F.gelu(positions[:, :, : frames.shape[1]]).transpose(1, 2)  # an even kernel gives one frame more

        return layout.along_time(convolve, hidden)


class _ConvolvedByTaps(torch.autograd.Function):
    """A convolution in groups, (batch, frames, features) in and out, a product for each tap, clip and group."""

    @staticmethod
    def forward(ctx: Any, frames: Tensor, taps: Tensor) -> Tensor:
        ctx.save_for_backward(frames, taps)
        edge = len(taps) // 2
        return _over_taps(_by_group(frames, taps.shape[1], edge, edge), taps, frames.shape[1])

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        frames, taps = ctx.saved_tensors
        for_frames, for_taps = ctx.needs_input_grad
        (groups, edge), count = (taps.shape[1], len(taps) // 2), frames.shape[1]
        of_frames = of_taps = None
        if for_frames:
            rows = _by_group(gradient, groups, len(taps) - 1 - edge, edge)
            of_frames = _over_taps(rows, taps.flip(0).transpose(2, 3).contiguous(), count)
        if for_taps:
            seen, rows = _by_group(frames, groups, edge, edge), _by_group(gradient, groups, 0, 0)
            of_taps = torch.zeros_like(taps)
            for place, tap in enumerate(of_taps):
                for clip, row in zip(seen, rows, strict=True):
                    tap.baddbmm_(clip[:, place : place + count].transpose(1, 2), row)
        return of_frames, of_taps


def _over_taps(seen: Tensor, taps: Tensor, count: int) -> Tensor:
    """Sums the products over taps, (batch, groups, more frames, inputs) -> (batch, frames, features)."""
    total = seen.new_zeros(*seen.shape[:2], count, taps.shape[3])
    for place, tap in enumerate(taps):
        for clip, output in zip(seen, total, strict=True):
            output.baddbmm_(clip[:, place : place + count], tap)
    return total.transpose(1, 2).flatten(2)


def _by_group(frames: Tensor, groups: int, before: int, behind: int) -> Tensor:
    """Frames of each group with zeros at both ends, (batch, frames, features) -> (batch, groups, frames, width)."""
    return F.pad(frames, (0, 0, before, behind)).unflatten(2, (groups, -1)).transpose(1, 2).contiguous()


@torch.no_grad()
def fix_positions(encoder: nn.Module) -> None:
    """Makes the positional convolutions of an encoder ready for prediction, after which nothing may train it."""
    for module in encoder.modules():
        if isinstance(module, PositionalConvolution) and module.in_eight_bits is None:
            module.fix()


class SelfAttention(nn.Module):
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
        _put_side_by_side([self.q_proj, self.k_proj, self.v_proj])
        self.joined: nn.Module | None = None  # what takes the place of the three

    def forward(self, hidden: Tensor, layout: Layout) -> Tensor:
        """Shape (..., features) in and out, in the layout."""
        query, key, value = self._project(hidden)
        dropout = self.dropout if self.training else 0.0
        attended = layout.attend(query, key, value, self._gate(hidden), heads=self.heads, dropout=dropout)
        return dense(self.out_proj, attended)

    def _project(self, hidden: Tensor) -> Sequence[Tensor]:
        """Query, key and value, each (..., features): one product where their weights still lie side by side."""
        if self.joined is not None:
            return self.joined(hidden).chunk(3, dim=-1)
        modules = [self.q_proj, self.k_proj, self.v_proj]
        if all(map(is_plain, modules)):
            weights = [module.weight for module in modules]
            together = None if torch.is_grad_enabled() else _side_by_side(weights)
            if torch.is_grad_enabled() and any(weight.requires_grad for weight in weights):
                together = torch.cat(weights)
            if together is not None:
                return product(hidden, together, torch.cat([module.bias for module in modules])).chunk(3, dim=-1)
        return [dense(module, hidden) for module in modules]

    def _gate(self, hidden: Tensor) -> Tensor | None:
        """Factors of the position bias, one a query, shape (..., heads), from the input of the attention.

        None = there is no position bias.
        """
        return None


def _put_side_by_side(modules: Sequence[nn.Linear]) -> None:
    """Moves the weights into one memory. Loading, training and merging write in place and leave them there."""
    if modules[0].weight.is_meta:  # without memory; to join there, PyTorch would load its compiler
        return
    together = torch.cat([module.weight.data for module in modules])
    for module, part in zip(modules, together.chunk(len(modules)), strict=True):
        module.weight.data = part


def _side_by_side(weights: Sequence[Tensor]) -> Tensor | None:
    """Weights of one shape as one over the same memory, shape (sum of outputs, inputs); None where they were moved."""
    first, size = weights[0], weights[0].numel() * weights[0].element_size()
    shared = first.untyped_storage().data_ptr()
    for place, weight in enumerate(weights):
        in_place = weight.data_ptr() == first.data_ptr() + place * size and weight.is_contiguous()
        if not in_place or weight.untyped_storage().data_ptr() != shared or weight.dtype != first.dtype:
            return None
    return first.detach().as_strided((len(weights) * first.shape[0], first.shape[1]), (first.shape[1], 1))


class FeedForward(nn.Module):
    """The two dense layers of a transformer layer."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        super().__init__()
        self.intermediate_dense = nn.Linear(settings["hidden_size"], settings["intermediate_size"])
        self.intermediate_dropout = Dropout(settings["activation_dropout"])
        self.output_dense = nn.Linear(settings["intermediate_size"], settings["hidden_size"])
        self.output_dropout = Dropout(settings["hidden_dropout"])

    def forward(self, hidden: Tensor) -> Tensor:
        hidden = self.intermediate_dropout(F.gelu(dense(self.intermediate_dense, hidden)))
        return self.output_dropout(dense(self.output_dense, hidden))


class EncoderLayer(nn.Module):
    """A transformer layer, its norms after each part or before."""

    def __init__(self, attention: SelfAttention, settings: Mapping[str, Any]) -> None:
        super().__init__()
        self.attention = attention
        self.dropout = Dropout(settings["hidden_dropout"])
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


class TransformerEncoder(nn.Module):
    """Positions and transformer layers. With norms first the norm of this level is the final one, kept on request."""

    def __init__(self, attentions: Sequence[SelfAttention], positions: nn.Module, settings: Mapping[str, Any]) -> None:
        super().__init__()
        self.pos_conv_embed = positions
        norm = nn.LayerNorm(settings["hidden_size"], eps=settings["layer_norm_eps"])
        self.norm_last: bool = settings["do_stable_layer_norm"]
        self.layer_norm = norm if settings["final_norm"] or not self.norm_last else None
        self.dropout = Dropout(settings["hidden_dropout"])
        self.layers = nn.ModuleList(EncoderLayer(attention, settings) for attention in attentions)

    def forward(self, hidden: Tensor, layout: Layout, states_of: Callable[..., list[Tensor]]) -> list[Tensor]:
        """The input of the first layer and each layer's output, each shape (..., features) in the layout.

        ``states_of`` is that of the backbone, which says what it keeps of them.
        """
        hidden = hidden + self.pos_conv_embed(hidden, layout)
        if self.layer_norm is not None and not self.norm_last:
            hidden = self.layer_norm(hidden)
        states = states_of(self.layers, self.dropout(hidden), layout, first_stays=True)
        if self.layer_norm is not None and self.norm_last:
            states[-1] = self.layer_norm(states[-1])
        return states


def contradictory_sizes(settings: Mapping[str, Any]) -> list[str]:
    """Faults of sizes that do not go together: heads, groups of the positional convolution, layers of convolutions."""
    width = settings["hidden_size"]
    faults = [
        f"{key} is {settings[key]}, expected a divisor of hidden_size = {width}"
        for key in ("num_attention_heads", "num_conv_pos_embedding_groups")
        if width % settings[key]
    ]
    if len({len(settings[key]) for key in ("conv_dim", "conv_kernel", "conv_stride")}) > 1:
        faults.append("conv_dim, conv_kernel and conv_stride have different lengths, expected one length")
    return faults
