"""Level."""

from __future__ import annotations

import numpy as np

from emotune.audio import FloatArray
from emotune.data.augmentations.step import Step


class Gain(Step):
    """Louder or softer by up to ``largest_db``."""

    def __init__(self, largest_db: float) -> None:
        self.largest_db = largest_db

    def __call__(self, samples: FloatArray, generator: np.random.Generator) -> FloatArray:
        return samples * np.float32(10 ** (generator.uniform(-self.largest_db, self.largest_db) / 20))
