"""Spectral descriptors of short frames: timbre, balance and loudness."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

FRAME_S = 0.025
HOP_S = 0.01
BANDS = 26
COEFFICIENTS = 4
_TRANSFORM_HZ = 16.0  # bins no wider than this
_FLOOR = 1e-10  # under the largest power of the clip
_EMPHASIS = 0.97


def frames_of(samples: FloatArray, sampling_rate_hz: int, *, length_s: float = FRAME_S) -> FloatArray:
    """Frames of ``length_s`` every 10 ms, centred on 0.025 + 0.01 i s as those of pitch, shape (frames, samples)."""
    length = round(length_s * sampling_rate_hz)
    half = round(0.025 * sampling_rate_hz)
    count = max(1, 1 + int((len(samples) - 2 * half) / (HOP_S * sampling_rate_hz)))
    centres = half + np.round(np.arange(count) * HOP_S * sampling_rate_hz).astype(int)
    padded = np.pad(samples, length)
    return np.lib.stride_tricks.sliding_window_view(padded, length)[centres - length // 2 + length]


def amplitudes(frames: FloatArray, sampling_rate_hz: int) -> tuple[FloatArray, FloatArray]:
    """Amplitude spectra under Hann windows, shape (frames, bins), and the bins' frequencies in Hz, shape (bins,)."""
    size = 2 ** int(np.ceil(np.log2(max(frames.shape[1], sampling_rate_hz / _TRANSFORM_HZ))))
    window = np.hanning(frames.shape[1])
    spectra = np.abs(np.fft.rfft(frames * window, size, axis=1)) / window.sum()
    return spectra, np.asarray(np.fft.rfftfreq(size, 1 / sampling_rate_hz), dtype=np.float64)


def loudness(spectra: FloatArray, hertz: FloatArray) -> FloatArray:
    """Loudness of each frame, shape (frames,): bands of equal width on the mel scale, by the ear's curve, compressed.

    Reference:
        Hermansky (1990), Perceptual linear predictive analysis of speech, J. Acoust. Soc. Am. 87(4), sections II.B-C.
    """
    filters = mel_filters(tuple(hertz), BANDS)
    centres = (filters * hertz).sum(axis=1) / filters.sum(axis=1)
    squared = (2 * np.pi * centres) ** 2
    curve = (squared + 56.8e6) * squared**2 / ((squared + 6.3e6) ** 2 * (squared + 0.38e9))
    return ((spectra**2 @ filters.T) * curve / curve.max()) ** 0.33 @ np.ones(BANDS)


def cepstra(frames: FloatArray, sampling_rate_hz: int) -> FloatArray:
    """Mel-frequency cepstral coefficients 1 to 4 of each frame, shape (frames, COEFFICIENTS)."""
    emphasised = np.concatenate([frames[:, :1], frames[:, 1:] - _EMPHASIS * frames[:, :-1]], axis=1)
    spectra, hertz = amplitudes(emphasised, sampling_rate_hz)
    logarithms = np.log(_floored(spectra**2 @ mel_filters(tuple(hertz), BANDS).T))
    order, band = np.arange(1, COEFFICIENTS + 1)[:, None], np.arange(BANDS)[None, :]
    return np.sqrt(2 / BANDS) * logarithms @ np.cos(np.pi * order * (band + 0.5) / BANDS).T


def balance(spectra: FloatArray, hertz: FloatArray) -> dict[str, FloatArray]:
    """Balance of low and high, each shape (frames,), in dB and in dB a kHz."""
    power = _floored(spectra**2)
    decibels = 10 * np.log10(power)

    def between(low: float, high: float) -> NDArray[np.bool_]:
        return (hertz >= low) & (hertz < high)

    def slope(low: float, high: float) -> FloatArray:
        kilohertz = hertz[between(low, high)] / 1000
        centred = kilohertz - kilohertz.mean()
        return decibels[:, between(low, high)] @ centred / (centred @ centred)

    return {
        "alpha_ratio_db": 10
        * np.log10(power[:, between(1000, 5000)].sum(axis=1) / power[:, between(50, 1000)].sum(axis=1)),
        "hammarberg_index_db": decibels[:, between(0, 2000)].max(axis=1) - decibels[:, between(2000, 5000)].max(axis=1),
        "slope_0_500_db_per_khz": slope(0, 500),
        "slope_500_1500_db_per_khz": slope(500, 1500),
    }


def _floored(power: FloatArray) -> FloatArray:
    """Power that is 100 dB under the clip's largest at least, and positive."""
    return np.maximum(power, max(_FLOOR * float(power.max()), np.finfo(float).tiny))


def flux(spectra: FloatArray) -> FloatArray:
    """Change from frame to frame, shape (frames,): the distance of neighbouring spectra; the first has none (NaN)."""
    return np.concatenate([[np.nan], np.linalg.norm(np.diff(spectra, axis=0), axis=1)])


@lru_cache(maxsize=8)
def mel_filters(hertz: tuple[float, ...], bands: int) -> FloatArray:
    """Triangles of height 1 from 20 to 8000 Hz, or to the highest frequency, shape (bands, bins)."""

    def mel(frequency: FloatArray) -> FloatArray:
        return 1127 * np.log1p(frequency / 700)

    bins = mel(np.array(hertz))
    low, high = mel(np.array([20.0, min(8000.0, hertz[-1])]))
    corners = np.linspace(low, high, bands + 2)[:, None]
    left, centre, right = corners[:-2], corners[1:-1], corners[2:]
    return np.maximum(0.0, np.minimum((bins - left) / (centre - left), (right - bins) / (right - centre)))
