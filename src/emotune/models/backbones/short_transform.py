"""Power spectra of windows by a Fourier transform in two short steps, for graphs that are exported.

A window of 400 samples is laid out in 20 rows of 20: a transform of each column, a turn of each number, a transform of
each row. That is a fifth of the products of sines and cosines of the whole window, and constants of a few kilobytes
where those take 643: much, beside an encoder of a hundred thousand weights.

Reference:
    Cooley & Tukey (1965), An Algorithm for the Machine Calculation of Complex Fourier Series, Math. Comp. 19.
"""

# pyright: strict, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from emotune.models.backbones.log_mel import HOP, WINDOW, power_spectra

_SIDE = 20
_KEPT = _SIDE // 2 + 1  # rows of the result up to half the sampling rate
_STEP = 80  # divides window and hop


def short_power_spectra(waveforms: Tensor) -> Tensor:
    """As ``log_mel.power_spectra``, (batch, samples) -> (batch, WINDOW // 2 + 1, frames), and small where exported."""
    if not torch.compiler.is_exporting():
        return power_spectra(waveforms)
    first, turn, second = (torch.as_tensor(part, dtype=waveforms.dtype) for part in _parts())
    columns = first @ _windows(waveforms).unflatten(2, (_SIDE, _SIDE))  # the constant on the left stays in 32 bits
    real, imaginary = columns.transpose(2, 3).chunk(2, dim=3)
    turned = torch.cat([real * turn[0] - imaginary * turn[1], real * turn[1] + imaginary * turn[0]], dim=2)
    cosines, sines = (second @ turned).chunk(2, dim=2)
    power = (cosines.square() + sines.square()).flatten(2)
    return power[:, :, : WINDOW // 2 + 1].transpose(1, 2)


def _windows(waveforms: Tensor) -> Tensor:
    """Windows under a Hann window, (batch, samples) -> (batch, frames, WINDOW)."""
    frames = (waveforms.shape[1] - WINDOW) // HOP + 1
    steps = waveforms[:, : waveforms.shape[1] // _STEP * _STEP].unflatten(1, (-1, _STEP))
    every = HOP // _STEP
    parts = [steps[:, start : start + every * (frames - 1) + 1 : every] for start in range(WINDOW // _STEP)]
    return torch.cat(parts, dim=2) * torch.hann_window(WINDOW, dtype=waveforms.dtype, device=waveforms.device)


@lru_cache
def _parts() -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Transform of columns, (2 side, side); cosines and sines of turns, (2, side, side); of rows, (2 kept, 2 side).

    Sample n = side * row + column meets frequency k = k_1 + side * k_2 at the angle of row k_1 / side, column k_1 /
    WINDOW and column k_2 / side.
    """
    number = np.arange(_SIDE)
    short: NDArray[np.complex128] = np.exp(-2j * np.pi * np.outer(number, number) / _SIDE)
    turn: NDArray[np.complex128] = np.exp(-2j * np.pi * np.outer(number, number) / WINDOW)
    kept: NDArray[np.complex128] = short[:_KEPT]
    second = np.block([[kept.real, -kept.imag], [kept.imag, kept.real]])
    return np.concatenate([short.real, short.imag]), np.stack([turn.real, turn.imag]), second
