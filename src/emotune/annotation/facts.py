"""Facts of a clip that a prompt may tell: its words, and in figures how it sounds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from emotune.audio import SAMPLING_RATE_HZ, FloatArray
from emotune.audio.acoustics import FUNCTIONAL_NAMES, SEMITONE_REFERENCE_HZ, functionals


@dataclass(frozen=True)
class Sound:
    """Mean energy in dB of full scale, mean pitch in Hz and its standard deviation in semitones; NaN where unknown."""

    energy_db: float
    pitch_hz: float
    pitch_deviation_semitones: float


@dataclass(frozen=True)
class Facts:
    """Facts of one clip; None is what nobody knows or the level does not tell."""

    utterance_id: str
    text: str | None
    gender: str | None = None
    sound: Sound | None = None
    codes: Sequence[int] | None = None


def sound_of(samples: FloatArray) -> Sound:
    """Energy and pitch of a clip, shape (samples,), at 16 kHz."""
    values = dict(zip(FUNCTIONAL_NAMES, functionals(samples, SAMPLING_RATE_HZ), strict=True))
    pitch = values["pitch_mean_semitones"]
    return Sound(
        float(values["energy_mean_db"]),
        SEMITONE_REFERENCE_HZ * 2 ** (float(pitch) / 12) if math.isfinite(pitch) else math.nan,
        float(values["pitch_std_semitones"]),
    )
