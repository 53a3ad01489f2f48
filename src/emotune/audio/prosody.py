"""Speech with one side taken away: its melody and loudness levelled, or its words filtered out."""

from __future__ import annotations

import numpy as np

from emotune.audio.acoustics import FRAME_S, HOP_S, pitch_and_energy
from emotune.audio.decoding.sound import FloatArray

_UNVOICED_STEP_S = 0.005
_SOUNDING_DB = 35.0
"""Frames this far under the loudest one are taken for silence, and are not made louder."""
_MOST_GAIN_DB = 20.0
_PASS_HZ, _STOP_HZ = 350.0, 450.0
"""Pitch of a voice lies below, and nearly all that tells one sound of speech from another above."""


def flattened(samples: FloatArray, sampling_rate_hz: int) -> FloatArray:
    """Speech whose pitch is its median and whose loudness is even, shape (samples,); words and timing stay.

    Pitch-synchronous overlap-add: two-period grains of the voice are set down again at an even distance, so that the
    spectral envelope stays about what it was. Limits: frames whose pitch is not found stay as they are, creak and wrong
    octaves leave steps, and tempo, pauses and the sound of the voice (breathy, tense) are not touched.

    Reference:
        Moulines and Charpentier (1990), Pitch-Synchronous Waveform Processing Techniques for Text-to-Speech Synthesis
        Using Diphones, Speech Communication 9.
    """
    if not len(samples):
        return samples.astype(np.float32)
    pitch_hz, _ = pitch_and_energy(samples, sampling_rate_hz)
    voiced = np.isfinite(pitch_hz)
    levelled = samples.astype(np.float64)
    if voiced.any():
        levelled = _at_one_pitch(levelled, pitch_hz, float(np.median(pitch_hz[voiced])), sampling_rate_hz)
    return _at_one_loudness(levelled, sampling_rate_hz).astype(np.float32)


def without_words(samples: FloatArray, sampling_rate_hz: int) -> FloatArray:
    """Speech below 400 Hz alone, at its own mean power, shape (samples,): melody and loudness without the words.

    Content filtering. Limits: the sound of the voice above 400 Hz goes with the words, and a model that never heard
    such sound may fail for that reason.

    Reference:
        Rogers, Scherer and Rosenthal (1971), Content Filtering Human Speech: A Simple Electronic System, Behavior
        Research Methods and Instrumentation 3(1).
    """
    if not len(samples):
        return samples.astype(np.float32)
    spectrum = np.fft.rfft(samples.astype(np.float64))
    hertz = np.fft.rfftfreq(len(samples), 1 / sampling_rate_hz)
    share = np.clip((_STOP_HZ - hertz) / (_STOP_HZ - _PASS_HZ), 0, 1)
    filtered = np.fft.irfft(spectrum * np.sin(np.pi / 2 * share) ** 2, len(samples))
    power, kept = float(np.mean(np.square(samples, dtype=np.float64))), float(np.mean(filtered**2))
    return _within_full_scale(filtered * np.sqrt(power / kept) if kept > 0 else filtered).astype(np.float32)


def _at_one_pitch(samples: np.ndarray, pitch_hz: np.ndarray, target_hz: float, sampling_rate_hz: int) -> np.ndarray:
    marks, periods, voiced = _pitch_marks(samples, pitch_hz, sampling_rate_hz)
    step = sampling_rate_hz / target_hz
    summed = np.zeros(len(samples))
    place = float(marks[0])
    while place < len(samples):
        nearest = int(np.argmin(np.abs(marks - place)))
        half = int(periods[nearest])
        window = np.hanning(2 * half + 1)
        taken = np.arange(marks[nearest] - half, marks[nearest] + half + 1)
        put = taken - marks[nearest] + round(place)
        inside = (taken >= 0) & (taken < len(samples)) & (put >= 0) & (put < len(samples))
        summed[put[inside]] += window[inside] * samples[taken[inside]]
        place += step if voiced[nearest] else half
    return summed  # not divided by the windows' sum: between far grains that would bring their neighbours' pulses back


def _pitch_marks(
    samples: np.ndarray, pitch_hz: np.ndarray, sampling_rate_hz: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One mark a period where there is a pitch, and one every 5 ms where there is none."""
    marks: list[int] = []
    periods: list[int] = []
    voiced: list[bool] = []
    unvoiced_step = round(_UNVOICED_STEP_S * sampling_rate_hz)
    place = 0
    while place < len(samples):
        frame = min(max(round((place / sampling_rate_hz - FRAME_S / 2) / HOP_S), 0), len(pitch_hz) - 1)
        has_pitch = bool(np.isfinite(pitch_hz[frame]))
        period = round(sampling_rate_hz / pitch_hz[frame]) if has_pitch else unvoiced_step
        if has_pitch:
            place = _aligned(samples, place, period, marks[-1] if voiced and voiced[-1] else None)
        marks.append(place)
        periods.append(period)
        voiced.append(has_pitch)
        place += period
    return np.array(marks), np.array(periods), np.array(voiced)


def _aligned(samples: np.ndarray, place: int, period: int, before: int | None) -> int:
    """Mark of a period that is due at a place: where the sound is most like that around the mark before it.

    The first mark of a stretch is at its highest sample. Marks at the highest sample of each period would jump between
    the waves of a formant, and every other grain would then be another one: a voice an octave lower.
    """
    reach, half = max(1, period // 6), period // 2
    if before is None:
        near = samples[place : place + period]
        return place + int(near.argmax()) if len(near) else place
    start, end = max(place - reach, before + 1), place + reach + 1
    if before < half or end + half > len(samples) or end <= start:
        return place
    model = samples[before - half : before + half]
    searched = samples[start - half : end + half - 1]
    return start + int(np.correlate(searched, model, mode="valid").argmax())


def _at_one_loudness(samples: np.ndarray, sampling_rate_hz: int) -> np.ndarray:
    """Brings every frame that sounds to the median level, by a gain that moves in a straight line between frames."""
    frame = round(FRAME_S * sampling_rate_hz)
    if len(samples) < 2 * frame:
        return samples
    centres = np.arange(frame // 2, len(samples) - frame // 2, frame // 2)
    level_db = np.array(
        [10 * np.log10(np.mean(samples[c - frame // 2 : c + frame // 2] ** 2) + 1e-12) for c in centres]
    )
    sounding = level_db > level_db.max() - _SOUNDING_DB
    gain_db = np.where(sounding, np.clip(np.median(level_db[sounding]) - level_db, -_MOST_GAIN_DB, _MOST_GAIN_DB), 0.0)
    smooth_db = np.interp(np.arange(len(samples)), centres, gain_db)
    return _within_full_scale(samples * 10 ** (smooth_db / 20))


def _within_full_scale(samples: np.ndarray) -> np.ndarray:
    peak = float(np.abs(samples).max(initial=0.0))
    return samples / peak if peak > 1 else samples
