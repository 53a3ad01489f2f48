"""The fingerprint of a clip: 32 bits every 12 ms that say how the slope of its spectrum changes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RATE_HZ = 8000  # the bands end below 4 kHz, so that a telephone copy keeps all of them
HOP = 96
BITS = 32
WEAK_BITS = 4
_WINDOW = 1024
_CHANGE = 4  # hops between the two spectra that are compared: 48 ms
_BANDS_HZ = np.geomspace(300.0, 3400.0, BITS + 2)
_ACTIVE = 1e-4  # of the loudest frame's energy: 40 dB under it
_FLOOR = 1e-9
_FRAMES_AT_ONCE = 2000

FloatArray = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Fingerprint:
    """Frames every 12 ms.

    Args:
        values: 32 bits a frame, shape (frames,).
        active: whether the frame is within 40 dB of the loudest; only these are compared, shape (frames,).
        weak: the bits of each frame that a small change would turn first, shape (frames, 4).
    """

    values: NDArray[np.uint32]
    active: NDArray[np.bool_]
    weak: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.values)


def fingerprint(samples: FloatArray) -> Fingerprint:
    """The fingerprint of one channel at 8 kHz, shape (samples,); a gain leaves it as it is.

    Bit m of a frame is the sign of E(n, m) - E(n, m + 1) - E(n - 4, m) + E(n - 4, m + 1), with E the logarithm of the
    energy in 33 bands from 300 to 3400 Hz under windows of 128 ms. The window is much longer than the hop, so that a
    copy which begins between two frames keeps most bits.

    Reference:
        Haitsma & Kalker (2002), A highly robust audio fingerprinting system, ISMIR, eq. 1; logarithms, shorter
        windows and a change over several frames are ours, for clips of a few seconds.

    >>> clip = np.random.default_rng(0).standard_normal(8000).astype(np.float32)
    >>> len(fingerprint(clip)), bool((fingerprint(clip).values == fingerprint(0.1 * clip).values).all())
    (69, True)
    """
    energy = _band_energy(np.asarray(samples, dtype=np.float32))
    loudness = energy.sum(axis=1)
    loudest = float(loudness.max(initial=0.0))
    if len(energy) <= _CHANGE or loudest <= 0:
        return Fingerprint(np.zeros(0, np.uint32), np.zeros(0, np.bool_), np.zeros((0, WEAK_BITS), np.uint8))
    levels = np.log(energy + _FLOOR * loudest)
    slope = levels[:, :-1] - levels[:, 1:]
    change = slope[_CHANGE:] - slope[:-_CHANGE]
    values = np.packbits(change > 0, axis=1).view(">u4")[:, 0].astype(np.uint32)
    weakest = np.argpartition(np.abs(change), WEAK_BITS, axis=1)[:, :WEAK_BITS]
    weak = (BITS - 1 - weakest).astype(np.uint8)  # packbits puts the first band into the highest bit
    return Fingerprint(values, loudness[_CHANGE:] >= _ACTIVE * loudest, weak)


def _band_energy(samples: FloatArray) -> NDArray[np.float64]:
    """Energy by frame and band, shape (frames, 33); a clip shorter than a window has no frame."""
    if len(samples) < _WINDOW:
        return np.zeros((0, BITS + 1))
    frames = np.lib.stride_tricks.sliding_window_view(samples, _WINDOW)[::HOP]
    window = np.hanning(_WINDOW).astype(np.float32)
    edges = np.searchsorted(np.fft.rfftfreq(_WINDOW, 1 / RATE_HZ), _BANDS_HZ)
    energy = np.empty((len(frames), BITS + 1))
    for start in range(0, len(frames), _FRAMES_AT_ONCE):
        spectrum = np.fft.rfft(frames[start : start + _FRAMES_AT_ONCE] * window, axis=1)
        power = spectrum.real.astype(np.float64) ** 2 + spectrum.imag.astype(np.float64) ** 2
        energy[start : start + len(power)] = np.add.reduceat(power, edges, axis=1)[:, :-1]
    return energy
