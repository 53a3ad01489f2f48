"""Voice activity by loudness alone: what stands out from the background."""

from __future__ import annotations

import numpy as np

from emotune.audio.decoding import FloatArray

_FAINTEST_DB = -70.0  # of full scale: below is no speech
_HIGHEST_FLOOR_DB = -35.0  # a recording that begins with speech begins with a background of this level
_RISE_DB = 0.032  # of the background a frame: 1 dB/s
_ABOVE_DB = 9.0  # of the background, where a frame is speech as probably as not
_SLOPE_DB = 3.0
_KEPT = 0.5  # of the level before, a frame: hums and clicks are shorter than syllables


class Energy:
    """Probabilities of speech that rise with the level over the background.

    The background falls with the level at once and rises by 1 dB a second, so that it follows pauses. Music and noise
    that comes and goes are taken for speech.
    """

    def __init__(self) -> None:
        self._floor_db = _HIGHEST_FLOOR_DB
        self._power: float | None = None

    def __call__(self, frames: FloatArray) -> FloatArray:
        """Probabilities of speech, shape (frames, FRAME) -> (frames,)."""
        powers = np.square(frames, dtype=np.float64).mean(axis=1)
        return np.array([self._probability(power) for power in powers.tolist()], dtype=np.float32)

    def _probability(self, power: float) -> float:
        self._power = power if self._power is None else _KEPT * self._power + (1 - _KEPT) * power
        level_db = 10 * np.log10(self._power + 1e-12)
        self._floor_db = min(self._floor_db + _RISE_DB, max(level_db, _FAINTEST_DB))
        above_db = level_db - max(self._floor_db + _ABOVE_DB, _FAINTEST_DB)
        return float(1 / (1 + np.exp(-above_db / _SLOPE_DB)))


class Everything:
    """Takes all for speech."""

    def __call__(self, frames: FloatArray) -> FloatArray:
        """Ones, shape (frames, FRAME) -> (frames,)."""
        return np.ones(len(frames), dtype=np.float32)
