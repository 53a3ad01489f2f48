"""Attention with a gated bias in both layouts: short clips at once, long ones head by head."""

import pytest
import torch

from emotune.models.backbones import layouts
from emotune.models.backbones.layouts import Packed, Padded

HEADS, FEATURES = 4, 32


@pytest.mark.parametrize("count", [layouts._LONG - 1, layouts._LONG, 451])
def test_a_packed_clip_attends_as_a_padded_one_whether_it_is_short_or_long(count):
    torch.manual_seed(0)
    query, key, value = torch.randn(3, 40 + count, FEATURES)
    gate, bias = torch.rand(40 + count, HEADS) + 1, torch.randn(HEADS, count, count)
    packed = Packed([40, count], bias).attend(query, key, value, gate, heads=HEADS, dropout=0.0)
    for clip in (slice(0, 40), slice(40, 40 + count)):
        frames = clip.stop - clip.start
        mask, own = torch.ones(1, frames, dtype=torch.bool), bias[:, :frames, :frames]
        parts = (query[None, clip], key[None, clip], value[None, clip], gate[None, clip])
        expected = Padded(mask, own, is_padded=False).attend(*parts, heads=HEADS, dropout=0.0)
        torch.testing.assert_close(packed[clip], expected[0], rtol=1e-4, atol=1e-5)
