"""Whisper's log-mel spectrogram, of padded clips of any length.

Reference:
    Radford et al. (2022), Robust Speech Recognition via Large-Scale Weak Supervision, arXiv 2212.04356, section 2.2.
    Mel scale and area norm: M. Slaney (1998), Auditory Toolbox.
"""

# pyright: strict, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from emotune.models.backbones.base import mask_of

WINDOW = 400
HOP = 160
DYNAMIC_RANGE = 8.0  # in log10 units, below the loudest bin of the clip


@lru_cache
def mel_filters(bins: int) -> NDArray[np.float64]:
    """Triangles of equal area on the Slaney mel scale from 0 to 8000 Hz, shape (bins, WINDOW // 2 + 1).

    The scale is linear below 1000 Hz (15 mel) and logarithmic above, 27 mel for each factor of 6.4.
    """
    top_mel = 15 + 27 * np.log(8.0) / np.log(6.4)
    mels = np.linspace(0.0, top_mel, bins + 2)
    corners_hz = np.where(mels < 15, mels * 200 / 3, 1000 * np.exp((mels - 15) * np.log(6.4) / 27))
    bins_hz = np.linspace(0.0, 8000.0, WINDOW // 2 + 1)
    left, centre, right = corners_hz[:-2, None], corners_hz[1:-1, None], corners_hz[2:, None]
    rising = (bins_hz - left) / (centre - left)
    falling = (right - bins_hz) / (right - centre)
    return np.maximum(0.0, np.minimum(rising, falling)) * 2 / (right - left)


def mel_frame_count(samples: Tensor) -> Tensor:
    """Spectrogram frames of clips of so many samples, same shape; 100 a second."""
    return torch.div(samples, HOP, rounding_mode="floor")


def power_spectra(waveforms: Tensor) -> Tensor:
    """Power spectra under Hann windows, (batch, samples) -> (batch, WINDOW // 2 + 1, frames).

    Exported it is a product with sines and cosines: onnxruntime 1.32 takes 38 % of all the time for its own transform
    of windows whose length is no power of two.
    """
    if torch.compiler.is_exporting():
        waves = torch.as_tensor(_windowed_waves(), dtype=waveforms.dtype, device=waveforms.device)
        cosines, sines = F.conv1d(waveforms[:, None, :], waves[:, None, :], stride=HOP).chunk(2, dim=1)
        return cosines.square() + sines.square()
    window = torch.hann_window(WINDOW, dtype=waveforms.dtype, device=waveforms.device)
    spectrum = torch.stft(waveforms, WINDOW, HOP, window=window, center=False, return_complex=True)
    return torch.view_as_real(spectrum).square().sum(dim=-1)


def log_mel(
    waveforms: Tensor, lengths: Tensor, *, bins: int, spectra: Callable[[Tensor], Tensor] = power_spectra
) -> Tensor:
    """Log-mel spectrograms, shape (batch, bins, frames), zero in padded frames.

    A clip is mirrored at its start and followed by silence at its end, whatever stands beside it in the batch; the
    floor lies 8 (80 dB) under its own maximum.

    Args:
        waveforms: 16 kHz, shape (batch, samples), zeros after the end of a clip.
        lengths: samples of each clip, shape (batch,).
        bins: mel filters, 80 or 128 in the published models.
        spectra: works out the power spectra.
    """
    dtype = torch.float64 if waveforms.dtype == torch.float64 else torch.float32
    with torch.autocast(waveforms.device.type, enabled=False):
        half = WINDOW // 2
        padded = F.pad(waveforms.to(dtype), (0, half + 1))  # silence first: a mirror needs more than half a window
        padded = F.pad(padded[:, None, :], (half, 0), mode="reflect")[:, 0]
        frames = waveforms.shape[1] // HOP
        power = spectra(padded)[:, :, :frames]
        filters = torch.as_tensor(mel_filters(bins), dtype=dtype, device=padded.device)
        logarithm = (filters @ power).clamp(min=1e-10).log10()
        padding = ~mask_of(mel_frame_count(lengths), frames)[:, None, :]
        loudest = logarithm.masked_fill(padding, -torch.inf).amax(dim=(1, 2), keepdim=True)
        return ((torch.maximum(logarithm, loudest - DYNAMIC_RANGE) + 4) / 4).masked_fill(padding, 0)


def _windowed_waves() -> NDArray[np.float64]:
    """Cosines, then sines, of every bin under the Hann window, shape (2 * (WINDOW // 2 + 1), WINDOW)."""
    time = np.arange(WINDOW)
    turns = 2 * np.pi / WINDOW * (np.arange(WINDOW // 2 + 1)[:, None] * time % WINDOW)
    window = 0.5 - 0.5 * np.cos(2 * np.pi / WINDOW * time)
    return np.concatenate([np.cos(turns), np.sin(turns)]) * window
