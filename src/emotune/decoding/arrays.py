"""Samples that the caller has in memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotune.decoding.sound import FloatArray, Sound, block_frames
from emotune.errors import AudioError

_NAME = "the given array"


def opened(source: tuple[NDArray[Any], int]) -> Sound:
    """(samples, sampling_rate_hz) as a sound; integers become floats in [-1, 1], block by block.

    Raises:
        AudioError: for what is no samples.
    """
    if len(source) != 2:
        raise AudioError("An array comes as (samples, sampling_rate_hz).")
    try:
        samples, rate = np.asarray(source[0]), source[1]
    except ValueError as error:  # rows of different lengths
        raise AudioError(f"The samples are not a regular array: {error}.") from error
    if isinstance(rate, float) and rate.is_integer():
        rate = int(rate)
    if isinstance(rate, bool) or not isinstance(rate, int | np.integer):
        raise AudioError(f"The sampling rate must be a whole number of Hz, got {rate!r}.")
    if samples.ndim not in (1, 2) or samples.dtype.kind not in "fiu":
        raise AudioError(
            f"Expected samples of shape (samples,) or (samples, channels), got {samples.shape} of {samples.dtype}."
        )
    if not samples.size:
        raise AudioError(f"The given array, of shape {samples.shape}, holds no samples.")
    if samples.ndim == 2 and samples.shape[0] < samples.shape[1]:
        raise AudioError(f"Samples of shape {samples.shape} have more channels than samples; transpose the array.")
    columns = samples.reshape(len(samples), -1)
    frames, channels = columns.shape

    def blocks_from(start: int) -> Iterator[FloatArray]:
        size = block_frames(channels)
        for at in range(start, frames, size):
            yield _as_floats(columns[at : at + size])

    return Sound(_NAME, int(rate), channels, frames, frames, True, blocks_from)


def _as_floats(samples: NDArray[Any]) -> FloatArray:
    if samples.dtype.kind in "iu":
        limits = np.iinfo(samples.dtype)
        middle = 0 if samples.dtype.kind == "i" else (limits.max + 1) / 2
        samples = (samples.astype(np.float64) - middle) / ((limits.max + 1) - middle)
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, and is refused as such
        return np.ascontiguousarray(samples, dtype=np.float32)
