"""A random piece of a clip."""

from __future__ import annotations

import numpy as np

from emotune.audio import SAMPLING_RATE_HZ, FloatArray
from emotune.data.augmentations.step import Step


class Crop(Step):
    """A piece of at most ``longest_s`` seconds at a random place; a shorter clip stays whole."""

    def __init__(self, longest_s: float) -> None:
        self.longest = round(longest_s * SAMPLING_RATE_HZ)

    def __call__(self, samples: FloatArray, generator: np.random.Generator) -> FloatArray:
        return piece_of(samples, self.longest, generator)


def piece_of(samples: FloatArray, length: int, generator: np.random.Generator) -> FloatArray:
    """``length`` samples from a random place of a clip, shape (samples,); the clip itself where it is not longer."""
    if len(samples) <= length:
        return samples
    start = int(generator.integers(0, len(samples) - length + 1))
    return samples[start : start + length]


def filled_to(samples: FloatArray, length: int, generator: np.random.Generator) -> FloatArray:
    """Exactly ``length`` samples of a clip, shape (samples,): a random piece, or the clip again and again."""
    repeats = -(-length // max(len(samples), 1))
    return piece_of(np.tile(samples, repeats) if repeats > 1 else samples, length, generator)
