"""Speed: pitch, formants and rate together, so that one voice becomes many."""

from __future__ import annotations

from typing import cast

import numpy as np
import soxr

from emotune.audio import SAMPLING_RATE_HZ, FloatArray
from emotune.data.augmentations.step import Step


class Speed(Step):
    """Resampled by exp(u), u uniform in [-largest, largest]; the length changes with it."""

    def __init__(self, largest: float) -> None:
        self.largest = largest

    def __call__(self, samples: FloatArray, generator: np.random.Generator) -> FloatArray:
        return change_speed(samples, float(np.exp(generator.uniform(-self.largest, self.largest))))


def change_speed(samples: FloatArray, factor: float) -> FloatArray:
    """Plays ``factor`` times faster by resampling, shape (samples,) -> (about samples / factor,)."""
    return cast(FloatArray, soxr.resample(samples, SAMPLING_RATE_HZ * factor, SAMPLING_RATE_HZ, quality="MQ"))
