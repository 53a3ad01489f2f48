"""Contract of an augmentation."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

from emotune.audio import FloatArray


class Step(ABC):
    """A random change of a clip at 16 kHz, with its options as keyword arguments.

    All randomness comes from the generator that it is given: the same generator, the same clip.
    """

    @abstractmethod
    def __call__(self, samples: FloatArray, generator: np.random.Generator) -> FloatArray:
        """A changed copy, shape (samples,) -> (samples,), of another length only where the step says so."""
