"""Positions by a product for each tap are those of PyTorch's convolution, and so are their gradients."""

import pytest
import torch
from torch.nn import functional as F

from emotune.models.backbones import transformer
from emotune.models.backbones.layouts import Packed, Padded
from emotune.models.backbones.transformer import PositionalConvolution

SHAPES = [(128, 16, 32), (5, 2, 8), (4, 1, 6)]


def convolved(positions: PositionalConvolution, frames: torch.Tensor) -> torch.Tensor:
    weight, bias = positions.conv.weight, positions.conv.bias
    found = F.conv1d(frames.transpose(1, 2), weight, bias, padding=positions.padding, groups=positions.groups)
    return F.gelu(found[:, :, : frames.shape[1]]).transpose(1, 2)


@pytest.mark.parametrize(("kernel", "groups", "features"), SHAPES)
@pytest.mark.parametrize("fixed", [False, True])
@torch.no_grad()
def test_positions_are_those_of_the_convolution_padded_and_packed(kernel, groups, features, fixed):
    torch.manual_seed(0)
    positions = PositionalConvolution(features, kernel, groups)
    hidden, mask = torch.randn(2, 11, features), torch.ones(2, 11, dtype=torch.bool)
    mask[0, 7:] = False
    expected = convolved(positions, hidden.masked_fill(~mask[:, :, None], 0))[mask]
    if fixed:
        positions.fix()
    padded = positions(hidden, Padded(mask, None, is_padded=True))
    packed = positions(hidden[mask], Packed([7, 11], None))
    torch.testing.assert_close(padded[mask], expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(packed, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("kernel", "groups", "features"), SHAPES)
def test_gradients_are_those_of_the_convolution(kernel, groups, features):
    torch.manual_seed(0)
    positions = PositionalConvolution(features, kernel, groups)
    hidden = torch.randn(3, 9, features, requires_grad=True)
    layout = Padded(torch.ones(3, 9, dtype=torch.bool), None, is_padded=False)
    wanted = [hidden, *positions.parameters()]
    found, expected = (
        torch.autograd.grad(output.square().sum(), wanted)
        for output in (positions(hidden, layout), convolved(positions, hidden))
    )
    for own, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(own, theirs, rtol=1e-4, atol=1e-5)


def test_half_precision_takes_the_convolution(monkeypatch):
    monkeypatch.setattr(transformer, "_ConvolvedByTaps", None)
    positions, hidden = PositionalConvolution(8, 5, 2), torch.randn(1, 6, 8)
    layout = Padded(torch.ones(1, 6, dtype=torch.bool), None, is_padded=False)
    with torch.autocast("cpu", torch.bfloat16):
        assert positions(hidden, layout).dtype == torch.bfloat16
