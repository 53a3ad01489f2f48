"""Log-mel filter bank in the manner of Kaldi, each bin of a clip brought to mean 0 and variance 1, of padded clips.

Reference:
    Povey et al. (2011), The Kaldi Speech Recognition Toolkit, feature extraction: offset removed and pre-emphasis in
    each window, a Hann window to the power of .85, triangles on the scale 1127 ln(1 + f / 700).
"""

# pyright: strict, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from emotune.models.backbones.base import mask_of

WINDOW = 400
HOP = 160
STRIDE = 2
"""windows that the published encoder takes side by side as a frame"""
_TRANSFORM = 512
_LOUDEST = 32768.0  # samples are taken as whole numbers of 16 bits
_PRE_EMPHASIS = 0.97
_FLOOR = 2.0**-23
_VARIANCE_FLOOR = 1e-7


@lru_cache
def kaldi_filters(bins: int) -> NDArray[np.float64]:
    """Triangles of height 1 from 20 to 8000 Hz, shape (bins, _TRANSFORM // 2 + 1)."""

    def mel(hertz: NDArray[np.floating[Any]]) -> NDArray[np.floating[Any]]:
        return 1127 * np.log(1 + hertz / 700)

    low, high = mel(np.array([20.0, 8000.0]))
    corners = np.linspace(low, high, bins + 2)[:, None]
    own = mel(np.arange(_TRANSFORM // 2 + 1) * (16000 / _TRANSFORM))
    left, centre, right = corners[:-2], corners[1:-1], corners[2:]
    return np.maximum(0.0, np.minimum((own - left) / (centre - left), (right - own) / (right - centre)))


@lru_cache
def _window() -> NDArray[np.float64]:
    return (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW) / (WINDOW - 1))) ** 0.85


@lru_cache
def _waves() -> NDArray[np.float64]:
    """All linear steps from the samples of a window to the cosines, then sines, of its spectrum, as one matrix.

    Shape (2 * (_TRANSFORM // 2 + 1), WINDOW).
    """
    steps = np.eye(WINDOW) - 1 / WINDOW
    emphasised = steps.copy()
    emphasised[1:] -= _PRE_EMPHASIS * steps[:-1]
    emphasised[0] *= 1 - _PRE_EMPHASIS
    spectrum = np.fft.rfft(emphasised * _window()[:, None] * _LOUDEST, _TRANSFORM, axis=0)
    return np.concatenate([spectrum.real, spectrum.imag])


def filter_frame_count(samples: Tensor) -> Tensor:
    """Windows that lie wholly inside clips of so many samples, same shape."""
    return torch.div(samples - WINDOW, HOP, rounding_mode="floor") + 1


def normed_filter_bank(waveforms: Tensor, lengths: Tensor, *, bins: int) -> Tensor:
    """Features of each window, shape (batch, windows, bins), each bin normed over the clip's own windows.

    Worked out in float64: what is quiet would drown in the rounding of what is loud. A graph works in float32.

    Args:
        waveforms: 16 kHz, shape (batch, samples), zeros after the end of a clip.
        lengths: samples of each clip, shape (batch,).
        bins: number of filters.
    """
    with torch.autocast(waveforms.device.type, enabled=False):
        dtype = torch.float32 if torch.compiler.is_exporting() else torch.float64
        filters = torch.as_tensor(kaldi_filters(bins).T, dtype=dtype, device=waveforms.device)
        logarithm = (_power(waveforms.to(dtype)) @ filters).clamp(min=_FLOOR).log()
        counts = filter_frame_count(lengths)
        padding = ~mask_of(counts, logarithm.shape[1])[:, :, None]
        windows = counts[:, None, None].to(dtype)
        mean = logarithm.masked_fill(padding, 0).sum(dim=1, keepdim=True) / windows
        centred = (logarithm - mean).masked_fill(padding, 0)
        variance = centred.square().sum(dim=1, keepdim=True) / (windows - 1)
        return centred * torch.rsqrt(variance + _VARIANCE_FLOOR)


def _power(waveforms: Tensor) -> Tensor:
    """Power spectra of the windows, (batch, samples) -> (batch, windows, _TRANSFORM // 2 + 1)."""
    if torch.compiler.is_exporting():
        waves = torch.as_tensor(_waves(), dtype=waveforms.dtype, device=waveforms.device)
        cosines, sines = F.conv1d(waveforms[:, None, :], waves[:, None, :], stride=HOP).transpose(1, 2).chunk(2, dim=2)
        return cosines.square() + sines.square()
    windows = waveforms.unfold(1, WINDOW, HOP) * _LOUDEST
    windows = windows - windows.mean(dim=2, keepdim=True)
    first = windows[:, :, :1] * (1 - _PRE_EMPHASIS)
    windows = torch.cat([first, windows[:, :, 1:] - _PRE_EMPHASIS * windows[:, :, :-1]], dim=2)
    window = torch.as_tensor(_window(), dtype=windows.dtype, device=windows.device)
    return torch.view_as_real(torch.fft.rfft(windows * window, _TRANSFORM)).square().sum(dim=-1)
