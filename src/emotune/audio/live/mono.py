"""Blocks of any rate and number of channels as their mean at 16 kHz, as if they were one recording."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import soxr
from numpy.typing import NDArray

from emotune.audio.decoding import FloatArray, opened_array
from emotune.audio.decoding.clips import check_samples
from emotune.audio.recordings import SAMPLING_RATE_HZ
from emotune.errors import AudioError

_NOTHING: FloatArray = np.zeros(0, dtype=np.float32)


class Mono:
    """Mean of the channels of a stream at 16 kHz; where the rate changes, what went before is ended first."""

    def __init__(self) -> None:
        self.given_s = 0.0
        """Seconds of sound so far; the resampler may still hold the last hundredths of them."""
        self._rate = SAMPLING_RATE_HZ
        self._resampler: soxr.ResampleStream | None = None

    def __call__(self, samples: NDArray[Any], sampling_rate_hz: int) -> FloatArray:
        """Samples at 16 kHz, shape (samples,), of a block of shape (samples,) or (samples, channels).

        Raises:
            AudioError: for what cannot be sound.
        """
        if samples.ndim not in (1, 2) or samples.dtype.kind not in "fiu":
            raise AudioError(
                f"A block of a stream has the shape (samples,) or (samples, channels), of floats or integers; got"
                f" {samples.shape} of {samples.dtype}."
            )
        if not samples.size:
            return _NOTHING
        blocks = list(opened_array((samples, sampling_rate_hz)).blocks_from(0))
        check_samples(len(samples), float(max(np.abs(block).max() for block in blocks)), "The stream")
        self.given_s += len(samples) / sampling_rate_hz
        before = self._ended_before(sampling_rate_hz)
        mixed = np.concatenate([block.mean(axis=1) for block in blocks])
        return np.concatenate([before, mixed if self._resampler is None else self._resampler.resample_chunk(mixed)])

    def finish(self) -> FloatArray:
        """Gives the samples that the resampler still held, shape (samples,); the stream may go on afterwards."""
        ended, self._resampler, self._rate = self._resampler, None, SAMPLING_RATE_HZ
        return _NOTHING if ended is None else cast(FloatArray, ended.resample_chunk(_NOTHING, last=True))

    def _ended_before(self, rate: int) -> FloatArray:
        """Samples of the rate before, where another one begins."""
        if rate == self._rate:
            return _NOTHING
        ended = self.finish()
        self._rate = rate
        if rate != SAMPLING_RATE_HZ:
            self._resampler = soxr.ResampleStream(rate, SAMPLING_RATE_HZ, 1, dtype="float32", quality="HQ")
        return ended
