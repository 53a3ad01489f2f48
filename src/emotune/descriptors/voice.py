"""Descriptors of the voice: cycles that differ, noise between harmonics, and resonances of the throat and mouth."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from emotune.audio.acoustics import HOP_S, LOWEST_PITCH_HZ

FloatArray = NDArray[np.float64]

FORMANTS = 3
_SHORTEST = 3  # frames
_FORMANT_RATE_HZ = 11000
_WIDEST_HZ = 900.0  # what is wider shapes the slope and is no resonance
_ORDER = 11
_EMPHASIS = 0.97
_LOWEST_FORMANT_HZ, _HIGHEST_FORMANT_HZ = 120.0, 5300.0
_CENTRE_S = 0.025  # of the first frame
_FLOOR = 1e-10


def stretches(voiced: NDArray[np.bool_]) -> Iterator[tuple[int, int]]:
    """Begins and ends (exclusive) of runs of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], voiced, [False]]).astype(int)))
    yield from ((int(begin), int(end)) for begin, end in zip(edges[::2], edges[1::2], strict=True))


def steady(pitch_hz: FloatArray) -> FloatArray:
    """Pitch in voiced stretches of 30 ms at least, each frame the median of five, shape (frames,), NaN elsewhere.

    A frame that alone has half or twice the pitch of its neighbours is so brought to theirs.
    """
    found = np.full(len(pitch_hz), np.nan)
    for begin, end in stretches(np.isfinite(pitch_hz)):
        if end - begin >= _SHORTEST:
            padded = np.pad(pitch_hz[begin:end], 2, mode="edge")
            found[begin:end] = np.median(np.lib.stride_tricks.sliding_window_view(padded, 5), axis=1)
    return found


@dataclass(frozen=True)
class Cycles:
    """Differences of neighbouring cycles, one value a frame, NaN where there are too few; each shape (frames,).

    Args:
        jitter: mean difference of neighbouring periods, as a share of the period.
        shimmer_db: mean difference of neighbouring peak-to-peak amplitudes.
    """

    jitter: FloatArray
    shimmer_db: FloatArray


def cycles(samples: FloatArray, pitch_hz: FloatArray, sampling_rate_hz: int) -> Cycles:
    """Jitter and shimmer of the voiced frames.

    A period ends where the sound is most like the period before it, to a fraction of a sample. A stretch of less than
    three periods has none.
    """
    jitter, shimmer = np.full(len(pitch_hz), np.nan), np.full(len(pitch_hz), np.nan)
    for begin, end in stretches(np.isfinite(pitch_hz)):
        start = int((begin * HOP_S + _CENTRE_S) * sampling_rate_hz)
        stop = int((end * HOP_S + _CENTRE_S) * sampling_rate_hz)
        marks = _marks(samples, pitch_hz, start, min(stop, len(samples)), sampling_rate_hz)
        if len(marks) < 4:
            continue
        periods = np.diff(marks)
        peaks = np.array([np.ptp(samples[int(a) : int(b)]) for a, b in pairwise(marks)])
        changes = np.abs(np.diff(periods)) / (0.5 * (periods[1:] + periods[:-1]))
        levels = np.abs(np.diff(20 * np.log10(np.maximum(peaks, _FLOOR))))
        frame = np.clip(((marks[1:-1] / sampling_rate_hz - _CENTRE_S) / HOP_S).round().astype(int), begin, end - 1)
        counts = np.bincount(frame, minlength=len(pitch_hz))
        has = counts > 0
        jitter[has] = np.bincount(frame, changes, minlength=len(pitch_hz))[has] / counts[has]
        shimmer[has] = np.bincount(frame, levels, minlength=len(pitch_hz))[has] / counts[has]
    return Cycles(jitter, shimmer)


def _marks(samples: FloatArray, pitch_hz: FloatArray, start: int, stop: int, sampling_rate_hz: int) -> FloatArray:
    """Places one period apart, as fractions of samples, shape (marks,)."""
    place = float(start)
    marks = [place]
    while True:
        frame = min(max(round((place / sampling_rate_hz - _CENTRE_S) / HOP_S), 0), len(pitch_hz) - 1)
        if not np.isfinite(pitch_hz[frame]):
            break
        period = sampling_rate_hz / pitch_hz[frame]
        reach, length = max(2, round(0.15 * period)), round(period)
        here, lag = round(place), round(period)
        if here + lag + reach + length >= stop or here + lag - reach < 0:
            break
        model = samples[here : here + length]
        searched = samples[here + lag - reach : here + lag + reach + length]
        likeness = np.correlate(searched, model, mode="valid")
        windows = np.lib.stride_tricks.sliding_window_view(searched, length)
        likeness = likeness / np.sqrt(np.maximum((windows**2).sum(axis=1), _FLOOR))
        best = int(likeness.argmax())
        place = here + lag - reach + best + _between(likeness, best)
        marks.append(place)
    return np.array(marks)


def _between(values: FloatArray, best: int) -> float:
    """Offset of the top of a parabola through a peak and its neighbours."""
    if not 0 < best < len(values) - 1:
        return 0.0
    before, here, after = values[best - 1 : best + 2]
    curvature = 2 * here - before - after
    return 0.0 if curvature <= 0 else float(0.5 * (after - before) / curvature)


def harmonics_to_noise_db(frames: FloatArray, pitch_hz: FloatArray, sampling_rate_hz: int) -> FloatArray:
    """Ratio of periodic to other energy, shape (frames,), NaN where unvoiced; frames has shape (frames, samples).

    Reference:
        Boersma (1993), Proceedings of the Institute of Phonetic Sciences 17, equation 4.
    """
    ratio = np.full(len(pitch_hz), np.nan)
    voiced = np.flatnonzero(np.isfinite(pitch_hz))
    if not len(voiced):
        return ratio
    window = np.hanning(frames.shape[1])
    size = 2 ** int(np.ceil(np.log2(2 * frames.shape[1])))

    most = round(sampling_rate_hz / LOWEST_PITCH_HZ) + 3

    def correlation(windowed: FloatArray) -> FloatArray:
        return np.fft.irfft(np.abs(np.fft.rfft(windowed, size, axis=-1)) ** 2, size, axis=-1)[..., :most]

    own = frames[voiced]
    lags = correlation((own - own.mean(axis=1, keepdims=True)) * window) / correlation(window)
    lags /= np.maximum(lags[:, :1], _FLOOR)
    period = sampling_rate_hz / pitch_hz[voiced]
    near = np.clip(np.round(period).astype(int)[:, None] + np.arange(-2, 3), 1, most - 1)
    height = np.clip(np.take_along_axis(lags, near, axis=1).max(axis=1), 1e-4, 1 - 1e-4)
    ratio[voiced] = 10 * np.log10(height / (1 - height))
    return ratio


def formants(frames: FloatArray, sampling_rate_hz: int) -> tuple[FloatArray, FloatArray]:
    """Frequencies and bandwidths in Hz of the first three resonances, each shape (frames, FORMANTS), NaN where none.

    Roots of a linear prediction over the sound below 5.5 kHz.

    Args:
        frames: shape (frames, samples).
        sampling_rate_hz: of the frames.
    """
    emphasised = np.concatenate([frames[:, :1], frames[:, 1:] - _EMPHASIS * frames[:, :-1]], axis=1)
    low = _resampled(emphasised * np.hanning(frames.shape[1]), sampling_rate_hz)  # silent at both ends by now
    order = _ORDER
    size = 2 ** int(np.ceil(np.log2(2 * low.shape[1])))
    lags = np.fft.irfft(np.abs(np.fft.rfft(low, size, axis=1)) ** 2, size, axis=1)[:, : order + 1]
    lags[:, 0] = lags[:, 0] * (1 + 1e-9) + _FLOOR
    toeplitz = lags[:, np.abs(np.arange(order)[:, None] - np.arange(order)[None, :])]
    predictor = np.linalg.solve(toeplitz, lags[:, 1:, None])[:, :, 0]
    companion = np.zeros((len(low), order, order))
    companion[:, 0], companion[:, np.arange(1, order), np.arange(order - 1)] = predictor, 1.0
    roots = np.linalg.eigvals(companion)
    hertz = np.angle(roots) * _FORMANT_RATE_HZ / (2 * np.pi)
    width = -np.log(np.maximum(np.abs(roots), _FLOOR)) * _FORMANT_RATE_HZ / np.pi
    is_formant = (hertz > _LOWEST_FORMANT_HZ) & (hertz < _HIGHEST_FORMANT_HZ) & (width < _WIDEST_HZ)
    ranked = np.argsort(np.where(is_formant, hertz, np.inf), axis=1)[:, :FORMANTS]
    found = np.take_along_axis(is_formant, ranked, axis=1)
    return (
        np.where(found, np.take_along_axis(hertz, ranked, axis=1), np.nan),
        np.where(found, np.take_along_axis(width, ranked, axis=1), np.nan),
    )


def _resampled(frames: FloatArray, sampling_rate_hz: int) -> FloatArray:
    """Frames at 11 kHz, by their spectra, shape (frames, fewer samples)."""
    length = frames.shape[1]
    kept = round(length * _FORMANT_RATE_HZ / sampling_rate_hz)
    spectra = np.fft.rfft(frames, axis=1)[:, : kept // 2 + 1]
    return np.fft.irfft(spectra, kept, axis=1)


def harmonic_levels_db(
    spectra: FloatArray, hertz: FloatArray, pitch_hz: FloatArray, formants_hz: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Levels of harmonics 1 and 2, shape (frames, 2), and of the strongest near each formant, (frames, FORMANTS).

    NaN where unvoiced, or where there is no formant.
    """
    decibels = 20 * np.log10(np.maximum(spectra, _FLOOR))
    width = hertz[1]

    def near(centre_hz: FloatArray, reach_hz: FloatArray) -> FloatArray:
        known = np.isfinite(centre_hz) & np.isfinite(reach_hz)
        level = np.full(len(centre_hz), np.nan)
        for frame in np.flatnonzero(known):
            first = max(0, round((centre_hz[frame] - reach_hz[frame]) / width))
            last = min(len(hertz) - 1, round((centre_hz[frame] + reach_hz[frame]) / width))
            if first <= last:
                level[frame] = decibels[frame, first : last + 1].max()
        return level

    own = np.stack([near(number * pitch_hz, 0.25 * pitch_hz) for number in (1, 2)], axis=1)
    of_formants = np.stack([near(formants_hz[:, n], 0.6 * pitch_hz) for n in range(FORMANTS)], axis=1)
    return own, of_formants
