"""Positions by a product for each tap are those of PyTorch's convolution."""

import pytest
import torch

from emotune.models.backbones.layouts import Packed, Padded
from emotune.models.backbones.transformer import PositionalConvolution


@pytest.mark.parametrize(("kernel", "groups", "features"), [(128, 16, 32), (5, 2, 8), (4, 1, 6)])
def test_fixed_positions_are_those_of_the_convolution(kernel, groups, features):
    torch.manual_seed(0)
    positions = PositionalConvolution(features, kernel, groups)
    hidden, mask = torch.randn(2, 11, features), torch.ones(2, 11, dtype=torch.bool)
    mask[0, 7:] = False
    layout = Padded(mask, None, is_padded=True)
    expected = positions(hidden, layout).detach()
    positions.fix()
    with torch.no_grad():
        padded = positions(hidden, layout)
        packed = positions(hidden[mask], Packed([7, 11], None))
    assert not torch.equal(padded[mask], expected[mask])  # it was the other way
    torch.testing.assert_close(padded[mask], expected[mask], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(packed, expected[mask], rtol=1e-4, atol=1e-5)
