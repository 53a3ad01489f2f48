"""Audibility of a change of a clip: where it is louder than the speech that it lies in."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from emotune.audio import SAMPLING_RATE_HZ, FloatArray

_WINDOW, _HOP, _BANDS = 320, 160, 40
DEPTH_DB = 60.0
"""below the clip's loudest cell, where a change counts as inaudible in any case"""


def exposed_share(clean: FloatArray, change: FloatArray) -> float:
    """Share of time and frequency in which a change is louder than the speech, both of shape (samples,).

    Cells are 20 ms every 10 ms by 40 bands of equal width in mel; those that lie more than ``DEPTH_DB`` under the
    clip's loudest cell do not count. It is no measure of perception: it knows no masking by neighbours.

    >>> speech = np.sin(np.arange(16000) / 5).astype(np.float32)
    >>> exposed_share(speech, 0 * speech), exposed_share(speech, 2 * speech)
    (0.0, 1.0)
    """
    speech, changed = _cells(clean), _cells(change)
    audible = np.maximum(speech, changed) > speech.max() * 10 ** (-DEPTH_DB / 10)
    return float((audible & (changed > speech)).sum() / max(audible.sum(), 1))


def _cells(samples: FloatArray) -> NDArray[np.float64]:
    """Power by frame and band, shape (frames, bands)."""
    padded = np.pad(samples.astype(np.float64), (0, max(0, _WINDOW - len(samples))))
    frames = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW)[::_HOP] * np.hanning(_WINDOW)
    power = np.abs(np.fft.rfft(frames)) ** 2
    hz = np.fft.rfftfreq(_WINDOW, 1 / SAMPLING_RATE_HZ)
    band = (np.log1p(hz / 700) / np.log1p(hz[-1] / 700) * _BANDS).astype(int).clip(max=_BANDS - 1)
    return power @ np.eye(_BANDS)[band]
