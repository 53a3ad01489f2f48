"""Linear layers on the faster of two matrix libraries.

PyTorch multiplies float32 matrices on a CPU with MKL, which keeps to AVX2 on processors that are not Intel's. oneDNN,
which PyTorch holds too, uses AVX-512 where it is there: measured on one core of an AMD EPYC, 250 against 115 GFLOP/s.
The numbers are the same but for the order of additions.
"""

# pyright: strict, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

import functools
from pathlib import Path
from typing import Any, TypeGuard

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def dense(linear: nn.Module, hidden: Tensor) -> Tensor:
    """Output of a linear layer, shape (..., inputs) -> (..., outputs); anything but a plain one is called as it is."""
    if is_plain(linear):
        return product(hidden, linear.weight, linear.bias)
    return linear(hidden)


def is_plain(linear: nn.Module) -> TypeGuard[nn.Linear]:
    """Tells if a module is nothing but a linear layer: no adapter, quantisation, hook or parametrisation."""
    if type(linear) is not nn.Linear:
        return False
    before = linear._forward_pre_hooks or linear._backward_pre_hooks  # pyright: ignore[reportPrivateUsage]
    after = linear._forward_hooks or linear._backward_hooks  # pyright: ignore[reportPrivateUsage]
    return not (before or after)


def bias_of(linear: nn.Linear) -> nn.Parameter | None:
    """Bias of a linear layer, None where it was made without one: PyTorch's types know none of these."""
    return linear.bias


def product(hidden: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Computes hidden weight^T + bias, as ``torch.nn.functional.linear``.

    Args:
        hidden: shape (..., inputs).
        weight: shape (outputs, inputs).
        bias: shape (outputs,).
    """
    if not _suits_onednn(hidden, weight):
        return F.linear(hidden, weight, bias)
    rows = hidden if hidden.ndim == 2 else hidden.flatten(0, -2)
    graph = torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in (hidden, weight, bias))
    result = _Product.apply(rows, weight, bias) if graph else _onednn(rows, weight, bias)
    return result if hidden.ndim == 2 else result.unflatten(0, hidden.shape[:-1])


class _Product(torch.autograd.Function):
    """The product and its two gradients, each a oneDNN product."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(rows, weight)
        return _onednn(rows, weight, bias)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, gradient: Tensor
    ) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        rows, weight = ctx.saved_tensors
        gradient = gradient.contiguous()
        for_rows, for_weight, for_bias = ctx.needs_input_grad
        return (
            _of_transposed(gradient, weight.T) if for_rows else None,
            _of_transposed(gradient.T, rows.T) if for_weight else None,
            gradient.sum(dim=0) if for_bias else None,
        )


def _of_transposed(rows: Tensor, weight: Tensor) -> Tensor:
    """Product of a gradient, whose operands are transposed: on Intel's processors MKL is faster at those."""
    return rows @ weight.T if is_intel() else _onednn(rows, weight, None)


def _onednn(rows: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    return torch.ops.mkldnn._linear_pointwise(rows, weight, bias, "none", [], "")


def _suits_onednn(hidden: Tensor, weight: Tensor) -> bool:
    return (
        hidden.dtype == weight.dtype == torch.float32
        and hidden.device.type == weight.device.type == "cpu"
        and has_avx512_onednn()
        and weight.is_contiguous()  # oneDNN is very slow on other strides
        and hidden.stride(-1) == 1
        and hidden.numel() > 0
        and not torch.is_autocast_enabled("cpu")
        and not torch.compiler.is_compiling()
    )


def suits_cpu(hidden: Tensor) -> bool:
    """Tells whether a tensor is in float32 on a CPU, and nobody asked for another precision or compiles."""
    plain = hidden.dtype == torch.float32 and hidden.device.type == "cpu"
    return plain and not torch.is_autocast_enabled("cpu") and not torch.compiler.is_compiling()


@functools.cache
def is_intel() -> bool:
    """Tells whether this is a processor of Intel, as far as the system says."""
    about = Path("/proc/cpuinfo")
    return about.exists() and "GenuineIntel" in about.read_text(encoding="utf-8", errors="replace")


@functools.cache
def has_avx512_onednn() -> bool:
    """Tells if oneDNN's product is there and uses AVX-512."""
    return (
        torch.backends.mkldnn.is_available()
        and torch.backends.cpu.get_cpu_capability().startswith("AVX512")
        and hasattr(torch.ops.mkldnn, "_linear_pointwise")
    )
