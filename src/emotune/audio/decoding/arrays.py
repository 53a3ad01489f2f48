"""Samples that the caller has in memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotune.audio.decoding.sound import FloatArray, Sound, block_frames

_NAME = "the given array"


def opened(source: tuple[NDArray[Any], int]) -> Sound:
    """Samples of shape (samples,) or (samples, channels) and their rate, as ``plain`` gives them, as a sound.

    Integers become floats in [-1, 1], block by block.
    """
    samples, rate = source
    columns = samples.reshape(len(samples), -1)
    frames, channels = columns.shape

    def blocks_from(start: int) -> Iterator[FloatArray]:
        size = block_frames(channels)
        for at in range(start, frames, size):
            yield _as_floats(columns[at : at + size])

    return Sound(_NAME, rate, channels, frames, frames, True, blocks_from)


def _as_floats(samples: NDArray[Any]) -> FloatArray:
    if samples.dtype.kind in "iu":
        limits = np.iinfo(samples.dtype)
        middle = 0 if samples.dtype.kind == "i" else (limits.max + 1) / 2
        samples = (samples.astype(np.float64) - middle) / ((limits.max + 1) - middle)
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, and is refused as such
        return np.ascontiguousarray(samples, dtype=np.float32)
