"""Rooms: speech convolved with the impulse response of one, recorded or simulated."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import scipy  # its parts are loaded when they are used

from emotune.audio import SAMPLING_RATE_HZ, FloatArray
from emotune.data.augmentations.sound_folder import SoundFolder
from emotune.data.augmentations.step import Step


class Reverberation(Step):
    """A room: the clip convolved with an impulse response, as loud as before, as long as before and not delayed.

    Args:
        rt60_s: shortest and longest time in which a simulated room's sound falls by 60 dB; None = 0.2 to 0.8 s.
        direct_db: lowest and highest ratio of direct to reflected energy in a simulated room; None = 0 to 10 dB.
        folder: recorded impulse responses instead; a random one.

    Reference:
        The simulated response is Polack's: noise under an exponential envelope; Polack (1988), La transmission de
        l'energie sonore dans les salles, thesis, as described by Jot et al. (1997).
    """

    def __init__(
        self,
        *,
        rt60_s: Sequence[float] | None = None,
        direct_db: Sequence[float] | None = None,
        folder: Path | None = None,
    ) -> None:
        self.rt60_s = rt60_s or (0.2, 0.8)
        self.direct_db = direct_db or (0.0, 10.0)
        self.recordings = None if folder is None else SoundFolder(folder, what="augmentation.reverberation.folder")

    def __call__(self, samples: FloatArray, generator: np.random.Generator) -> FloatArray:
        if self.recordings is not None:
            return in_room(samples, self.recordings.draw(generator))
        (shortest_s, longest_s), (lowest_db, highest_db) = self.rt60_s, self.direct_db
        rt60_s, direct_db = generator.uniform(shortest_s, longest_s), generator.uniform(lowest_db, highest_db)
        return in_room(samples, simulated_response(rt60_s, direct_db, generator))


def simulated_response(rt60_s: float, direct_db: float, generator: np.random.Generator) -> FloatArray:
    """An impulse response, shape (rt60_s * 16000,): a direct sound of 1 and ``direct_db`` under it the reflections."""
    length = max(2, round(rt60_s * SAMPLING_RATE_HZ))
    envelope = 10 ** (-3 * np.arange(length) / length)
    reflections = generator.standard_normal(length) * envelope
    reflections[0] = 0
    reflections *= np.sqrt(10 ** (-direct_db / 10) / np.sum(reflections**2))
    reflections[0] = 1
    return reflections.astype(np.float32)


def in_room(samples: FloatArray, response: FloatArray) -> FloatArray:
    """A clip, shape (samples,), heard through a response whose largest value is the direct sound; same mean power."""
    direct = int(np.argmax(np.abs(response)))
    heard = scipy.signal.fftconvolve(samples.astype(np.float64), response.astype(np.float64))[
        direct : direct + len(samples)
    ]
    power, heard_power = np.mean(samples.astype(np.float64) ** 2), np.mean(heard**2)
    return (heard * np.sqrt(power / max(heard_power, 1e-20))).astype(np.float32)
