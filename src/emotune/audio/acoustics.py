"""Pitch, energy and their functionals in plain numpy: the baseline every network should beat."""

import math

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

FRAME_S = 0.05  # three periods of the lowest pitch, which the window correction below needs
HOP_S = 0.01
LOWEST_PITCH_HZ = 60.0
HIGHEST_PITCH_HZ = 500.0
VOICING_THRESHOLD = 0.45
SILENCE_THRESHOLD = 0.03
OCTAVE_COST = 0.03
ENERGY_SPAN_DB = 50.0
SEMITONE_REFERENCE_HZ = 27.5
FRAMES_AT_ONCE = 2000

FUNCTIONAL_NAMES = (
    "pitch_mean_semitones",
    "pitch_std_semitones",
    "pitch_range_semitones",
    "pitch_slope_semitones_per_s",
    "voiced_share",
    "energy_mean_db",
    "energy_std_db",
    "energy_range_db",
    "voiced_segments_per_s",
)


def pitch_and_energy(samples: NDArray[np.floating], sampling_rate_hz: int) -> tuple[FloatArray, FloatArray]:
    """Pitch and energy of every frame: 50 ms long, every 10 ms, frame i centred on 0.025 + 0.01 i seconds.

    Pitch is the best peak of the window-corrected autocorrelation between 60 and 500 Hz, each frame on its own. Both
    voicing thresholds are relative, so a gain shifts the energy by its decibels and leaves the pitch as it is. A tone
    above 500 Hz is reported at a subharmonic.

    Args:
        samples: one channel in [-1, 1], shape (samples,). Shorter than a frame: padded with zeros to one frame.
        sampling_rate_hz: at least 2000.

    Returns:
        Pitch in Hz, NaN where unvoiced, and energy in dB of a full-scale square wave (a full-scale sine: -3.01), NaN
        where every sample is zero; both of shape (frames,), and (0,) for no samples.

    Raises:
        ValueError: if the samples are not one channel of finite numbers, or the sampling rate is too low.

    Reference:
        Boersma (1993), Proceedings of the Institute of Phonetic Sciences 17; no path search over frames here.

    >>> tone = 0.5 * np.sin(2 * np.pi * 220 * np.arange(16000) / 16000)
    >>> pitch_hz, energy_db = pitch_and_energy(tone, 16000)
    >>> round(float(np.median(pitch_hz))), round(float(np.median(energy_db)), 2)
    (220, -9.03)
    """
    samples = np.asarray(samples, dtype=np.float64)
    if samples.ndim != 1:
        raise ValueError(
            f"samples has shape {samples.shape}, expected one channel of shape (samples,): pick or mix one"
        )
    if not np.isfinite(samples).all():
        raise ValueError("samples holds NaN or infinite values, expected finite numbers: check the decoded file")
    if sampling_rate_hz < 4 * HIGHEST_PITCH_HZ:
        raise ValueError(f"sampling_rate_hz is {sampling_rate_hz}, expected at least 2000: resample first")
    if samples.size == 0:
        return np.empty(0), np.empty(0)

    frame = round(FRAME_S * sampling_rate_hz)
    if samples.size < frame:
        samples = np.pad(samples, (0, frame - samples.size))
    count = 1 + int((samples.size - frame) / (HOP_S * sampling_rate_hz))
    starts = np.round(np.arange(count) * HOP_S * sampling_rate_hz).astype(int)
    frames = np.lib.stride_tricks.sliding_window_view(samples, frame)[np.minimum(starts, samples.size - frame)]

    power = np.mean(frames**2, axis=1)
    energy_db = np.full(count, np.nan)
    energy_db[power > 0] = 10 * np.log10(power[power > 0])

    # Frames that never leave the noise floor of this recording are not worth a correlation.
    loud = np.abs(frames).max(axis=1) > SILENCE_THRESHOLD * np.abs(samples).max()
    pitch_hz = np.full(count, np.nan)
    for block in np.array_split(np.flatnonzero(loud), max(1, math.ceil(loud.sum() / FRAMES_AT_ONCE))):
        pitch_hz[block] = _pitch(frames[block], sampling_rate_hz)
    return pitch_hz, energy_db


def functionals(samples: NDArray[np.floating], sampling_rate_hz: int) -> FloatArray:
    """Statistics of pitch and energy over one utterance, in the order of `FUNCTIONAL_NAMES`, shape (features,).

    Pitch is in semitones above 27.5 Hz; its range runs from the 5th to the 95th percentile, so that a single octave
    error does not set it. Energy counts frames within 50 dB of the loudest one, so that digital silence does not set
    its mean. Voiced segments per second stand in for the speaking rate.

    Undefined values are NaN: the pitch features without a voiced frame (the slope: with fewer than two), the energy
    features without a frame that sounds, all of them without samples.

    Raises:
        ValueError: as `pitch_and_energy`.

    Reference:
        Eyben et al. (2016), IEEE Transactions on Affective Computing 7(2), whose eGeMAPS set inspires the choice.
    """
    pitch_hz, energy_db = pitch_and_energy(samples, sampling_rate_hz)
    values = np.full(len(FUNCTIONAL_NAMES), np.nan)
    if pitch_hz.size == 0:
        return values

    voiced = np.isfinite(pitch_hz)
    if voiced.any():
        semitones = 12 * np.log2(pitch_hz[voiced] / SEMITONE_REFERENCE_HZ)
        values[:3] = semitones.mean(), semitones.std(), np.ptp(np.percentile(semitones, [5, 95]))
        if semitones.size > 1:
            time_s = HOP_S * (np.flatnonzero(voiced) - np.flatnonzero(voiced).mean())
            values[3] = (time_s @ semitones) / (time_s @ time_s)
    values[4] = voiced.mean()

    sounding = energy_db[np.isfinite(energy_db)]
    if sounding.size:
        sounding = sounding[sounding >= sounding.max() - ENERGY_SPAN_DB]
        values[5:8] = sounding.mean(), sounding.std(), np.ptp(np.percentile(sounding, [5, 95]))

    segments = np.count_nonzero(np.diff(voiced.astype(int), prepend=0) == 1)
    values[8] = segments * sampling_rate_hz / len(samples)
    return values


def _pitch(frames: FloatArray, sampling_rate_hz: int) -> FloatArray:
    """Pitch of each frame in Hz, NaN where unvoiced; frames has shape (frames, samples), gives (frames,)."""
    length = frames.shape[1]
    window = np.hanning(length)
    fft_length = 2 ** math.ceil(math.log2(1.5 * length))
    shortest = max(2, math.floor(sampling_rate_hz / HIGHEST_PITCH_HZ))
    longest = math.ceil(sampling_rate_hz / LOWEST_PITCH_HZ)

    def autocorrelation(windowed: FloatArray) -> FloatArray:
        spectrum = np.fft.rfft(windowed, fft_length, axis=-1)
        return np.fft.irfft(np.abs(spectrum) ** 2, fft_length, axis=-1)[..., : longest + 2]

    correlation = autocorrelation((frames - frames.mean(axis=1, keepdims=True)) * window)
    at_zero = correlation[:, :1]
    window_correlation = autocorrelation(window)
    # Boersma (1993), eq. 9: dividing by the window's own correlation undoes its fall with the lag.
    correlation = correlation / np.where(at_zero > 0, at_zero, 1) / (window_correlation / window_correlation[0])

    before, here, after = (correlation[:, shortest + k : longest + 1 + k] for k in (-1, 0, 1))
    is_peak = (here >= before) & (here > after)
    curvature = np.where(is_peak, 2 * here - before - after, 1)
    offset = np.where(is_peak, (after - before) / (2 * curvature), 0)
    height = here + 0.25 * (after - before) * offset
    lag_s = (np.arange(shortest, longest + 1) + offset) / sampling_rate_hz
    # Boersma (1993), eq. 26: a small cost per octave prefers the period to its multiples.
    strength = np.where(is_peak, height - OCTAVE_COST * np.log2(LOWEST_PITCH_HZ * lag_s), -np.inf)

    best = strength.argmax(axis=1)[:, None]
    voiced = np.take_along_axis(np.where(is_peak, height, 0), best, axis=1)[:, 0] >= VOICING_THRESHOLD
    return np.where(voiced, 1 / np.take_along_axis(lag_s, best, axis=1)[:, 0], np.nan)
