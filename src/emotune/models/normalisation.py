"""Normalisation of padded clips inside a model or a graph, as preprocessing does it to single ones."""

# pyright: strict, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

import torch
from torch import Tensor


def normalized(waveforms: Tensor, mask: Tensor, *, variance_floor: float) -> Tensor:
    """(x - mean) / sqrt(variance + floor) over each clip's samples, zero in the padding; shapes (batch, samples)."""
    count = mask.sum(dim=1, keepdim=True)
    mean = waveforms.masked_fill(~mask, 0).sum(dim=1, keepdim=True) / count
    centred = (waveforms - mean).masked_fill(~mask, 0)
    variance = centred.square().sum(dim=1, keepdim=True) / count
    return centred / torch.sqrt(variance + variance_floor)
