"""Descriptors of an utterance: 88 named statistics of pitch, loudness, voice and spectrum over its frames."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from emotune.audio.acoustics import FRAME_S as PITCH_FRAME_S
from emotune.audio.acoustics import SEMITONE_REFERENCE_HZ, pitch_and_energy
from emotune.descriptors import spectra, voice
from emotune.descriptors.voice import FORMANTS, stretches

FloatArray = NDArray[np.float64]
LOWEST_RATE_HZ = 11025
VERSION = 1
"""Raised when a descriptor changes, so that kept ones are not reused."""

_VOICED_DB = 1.5
"""Least ratio of harmonics to noise of a frame that counts as voiced."""
_SMOOTHED = 2
"""frames on either side"""

_MELODY = ("mean", "std", "p20", "p50", "p80", "p20_p80_range", "rise_mean", "rise_std", "fall_mean", "fall_std")
_BALANCE = ("alpha_ratio_db", "hammarberg_index_db", "slope_0_500_db_per_khz", "slope_500_1500_db_per_khz")
_CEPSTRA = tuple(f"mfcc{number}" for number in range(1, spectra.COEFFICIENTS + 1))
_VOICE = ("jitter", "shimmer_db", "harmonics_to_noise_db", "h1_h2_db", "h1_a3_db")
_FORMANT = tuple(f"f{n}_{what}" for n in range(1, FORMANTS + 1) for what in ("hz", "bandwidth_hz", "level_db"))
_TIMING = (
    *("loudness_peaks_per_s", "voiced_segments_per_s", "voiced_segment_s_mean", "voiced_segment_s_std"),
    *("unvoiced_segment_s_mean", "unvoiced_segment_s_std", "level_db"),
)


def _both(names: tuple[str, ...], where: str = "") -> tuple[str, ...]:
    return tuple(f"{name}{where}_{statistic}" for name in names for statistic in ("mean", "std"))


NAMES: tuple[str, ...] = (
    *(f"pitch_semitones_{statistic}" for statistic in _MELODY),
    *(f"loudness_{statistic}" for statistic in _MELODY),
    *_both(("flux", *_CEPSTRA)),
    *_both(_VOICE),
    *_both(_FORMANT),
    *_both((*_BALANCE, "flux", *_CEPSTRA), "_voiced"),
    *(f"{name}_unvoiced_mean" for name in (*_BALANCE, "flux")),
    *_TIMING,
)
"""Names of the descriptors, in order."""


def descriptors(samples: NDArray[np.floating], sampling_rate_hz: int) -> FloatArray:
    """Descriptors of one utterance in the order of ``NAMES``, shape (88,), NaN where undefined.

    The choice follows eGeMAPSv02 one by one; every computation is our own, and spread is a standard deviation
    throughout, where that set divides by the mean. A gain changes level, loudness and flux, and nothing else.

    Args:
        samples: one channel in [-1, 1], shape (samples,).
        sampling_rate_hz: at least 11025.

    Raises:
        ValueError: if the samples are not one channel of finite numbers, or the sampling rate is too low.

    Reference:
        Eyben et al. (2016), The Geneva Minimalistic Acoustic Parameter Set, IEEE Trans. Affective Computing 7(2).
    """
    if sampling_rate_hz < LOWEST_RATE_HZ:
        raise ValueError(f"sampling_rate_hz is {sampling_rate_hz}, expected at least {LOWEST_RATE_HZ}: resample first")
    pitch_hz, energy_db = pitch_and_energy(samples, sampling_rate_hz)
    samples = np.asarray(samples, dtype=np.float64)
    if not pitch_hz.size:
        return np.full(len(NAMES), np.nan)
    padded = np.pad(samples, (0, max(0, round(PITCH_FRAME_S * sampling_rate_hz) - len(samples))))
    found = _of_frames(padded, pitch_hz, sampling_rate_hz)
    voiced = np.isfinite(found["pitch_hz"])
    pitch_hz = found["pitch_hz"]
    values: dict[str, float] = {}
    semitones = 12 * np.log2(pitch_hz / SEMITONE_REFERENCE_HZ)
    values |= _melody("pitch_semitones", semitones, stretches(voiced))
    values |= _melody("loudness", found["loudness"], [(0, len(voiced))])
    sounding = energy_db >= np.nanmax(energy_db, initial=-np.inf) - 60
    for names, rows, where in (
        (("flux", *_CEPSTRA), sounding, ""),
        ((*_VOICE, *_FORMANT), voiced, ""),
        ((*_BALANCE, "flux", *_CEPSTRA), voiced, "_voiced"),
        ((*_BALANCE, "flux"), ~voiced & sounding, "_unvoiced"),
    ):
        for name in names:
            known = found[name][rows]
            values[f"{name}{where}_mean"] = _over(np.nanmean, known)
            values[f"{name}{where}_std"] = _over(np.nanstd, known)
    values |= _timing(found["loudness"], voiced, len(samples) / sampling_rate_hz)
    power = float(np.mean(samples**2))
    values["level_db"] = 10 * np.log10(power) if power > 0 else np.nan
    return np.array([values[name] for name in NAMES])


def _of_frames(samples: FloatArray, pitch_hz: FloatArray, sampling_rate_hz: int) -> Mapping[str, FloatArray]:
    """Descriptors of each frame, by name, each shape (frames,)."""
    count = len(pitch_hz)
    short = spectra.frames_of(samples, sampling_rate_hz)[:count]
    long = spectra.frames_of(samples, sampling_rate_hz, length_s=PITCH_FRAME_S)[:count]
    noise_db = voice.harmonics_to_noise_db(long, pitch_hz, sampling_rate_hz)
    pitch_hz = voice.steady(np.where(noise_db >= _VOICED_DB, pitch_hz, np.nan))
    voiced = np.isfinite(pitch_hz)
    shapes, hertz = spectra.amplitudes(short, sampling_rate_hz)
    fine, fine_hertz = spectra.amplitudes(long, sampling_rate_hz)
    periodic = voice.cycles(samples, pitch_hz, sampling_rate_hz)
    formants_hz, widths_hz = np.full((count, FORMANTS), np.nan), np.full((count, FORMANTS), np.nan)
    if voiced.any():
        formants_hz[voiced], widths_hz[voiced] = voice.formants(short[voiced], sampling_rate_hz)
    harmonics, of_formants = voice.harmonic_levels_db(fine, fine_hertz, pitch_hz, formants_hz)
    found = {
        "pitch_hz": pitch_hz,
        "loudness": spectra.loudness(shapes, hertz),
        "flux": spectra.flux(shapes),
        **spectra.balance(shapes, hertz),
        **dict(zip(_CEPSTRA, spectra.cepstra(short, sampling_rate_hz).T, strict=True)),
        "jitter": periodic.jitter,
        "shimmer_db": periodic.shimmer_db,
        "harmonics_to_noise_db": noise_db,
        "h1_h2_db": harmonics[:, 0] - harmonics[:, 1],
        "h1_a3_db": harmonics[:, 0] - of_formants[:, 2],
    }
    for number in range(FORMANTS):
        found[f"f{number + 1}_hz"] = formants_hz[:, number]
        found[f"f{number + 1}_bandwidth_hz"] = widths_hz[:, number]
        found[f"f{number + 1}_level_db"] = of_formants[:, number] - harmonics[:, 0]
    return found


def _melody(name: str, contour: FloatArray, parts: Iterable[tuple[int, int]]) -> dict[str, float]:
    """Statistics of a contour, NaN where undefined, and of its rises and falls a second within its parts."""
    known = contour[np.isfinite(contour)]
    low, middle, high = np.percentile(known, [20, 50, 80]) if known.size else (np.nan,) * 3
    slopes = np.concatenate([np.empty(0), *(_slopes(_smooth(contour[begin:end])) for begin, end in parts)])
    rises, falls = slopes[slopes > 0], -slopes[slopes < 0]
    numbers = (
        *(_over(np.mean, known), _over(np.std, known), low, middle, high, high - low),
        *(_over(np.mean, rises), _over(np.std, rises), _over(np.mean, falls), _over(np.std, falls)),
    )
    return {f"{name}_{statistic}": float(number) for statistic, number in zip(_MELODY, numbers, strict=True)}


def _slopes(contour: FloatArray) -> FloatArray:
    """Slopes a second between the turning points of a contour, shape (slopes,)."""
    if len(contour) < 2:
        return np.empty(0)
    turns = np.flatnonzero(np.diff(np.sign(np.diff(contour))) != 0) + 1
    points = np.unique(np.concatenate([[0], turns, [len(contour) - 1]]))
    return np.diff(contour[points]) / (np.diff(points) * spectra.HOP_S)


def _smooth(contour: FloatArray) -> FloatArray:
    """Mean over each frame and its two neighbours on either side, of those that there are, shape (frames,)."""
    ones = np.ones(2 * _SMOOTHED + 1)
    return np.convolve(contour, ones, "same") / np.convolve(np.ones(len(contour)), ones, "same")


def _timing(loudness: FloatArray, voiced: NDArray[np.bool_], duration_s: float) -> dict[str, float]:
    contour = _smooth(loudness)
    inner = contour[1:-1]
    peaks = np.count_nonzero((inner > contour[:-2]) & (inner >= contour[2:]))
    lengths = {
        name: np.array([(end - begin) * spectra.HOP_S for begin, end in stretches(rows)])
        for name, rows in (("voiced", voiced), ("unvoiced", ~voiced))
    }
    return {
        "loudness_peaks_per_s": peaks / duration_s,
        "voiced_segments_per_s": len(lengths["voiced"]) / duration_s,
        **{f"{name}_segment_s_mean": _over(np.mean, of) for name, of in lengths.items()},
        **{f"{name}_segment_s_std": _over(np.std, of) for name, of in lengths.items()},
    }


def _over(statistic: Callable[[FloatArray], np.floating], values: FloatArray) -> float:
    """A statistic of the known values; NaN of none."""
    if not np.isfinite(values).any():
        return float("nan")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return float(statistic(values))
