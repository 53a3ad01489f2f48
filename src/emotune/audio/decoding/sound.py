"""A recording that was opened: what its header says, and its samples block by block."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emotune.errors import AudioError

FloatArray = NDArray[np.float32]
"""Samples, or features, as 32-bit floats."""
LOWEST_RATE_HZ, HIGHEST_RATE_HZ = 1000, 768000
BLOCK_SAMPLES = 1 << 18  # of all channels together: 1 MiB


@dataclass(frozen=True)
class Sound:
    """An open recording.

    Args:
        name: for messages.
        sampling_rate_hz, channels: as stored.
        frames: how many there are; None where only decoding tells.
        likely_frames: a guess of it, for reserving memory; 0 where there is none.
        seeks: whether ``blocks_from`` may begin anywhere; otherwise it begins at 0, once.
        blocks_from: the samples from a frame to the end, each block of shape (frames, channels). Raises an
            ``AudioError`` where the recording is damaged.
    """

    name: str
    sampling_rate_hz: int
    channels: int
    frames: int | None
    likely_frames: int
    seeks: bool
    blocks_from: Callable[[int], Iterator[FloatArray]]

    def __post_init__(self) -> None:
        if not LOWEST_RATE_HZ <= self.sampling_rate_hz <= HIGHEST_RATE_HZ:
            raise AudioError(
                f"{self.name}: a sampling rate of {self.sampling_rate_hz} Hz, expected {LOWEST_RATE_HZ} to"
                f" {HIGHEST_RATE_HZ}. Check its header."
            )


class SoundSource(ABC):
    """Recording that opens itself, as often as it is asked to; where it lies is its own matter.

    Attributes:
        name: for messages.
    """

    name: str

    @abstractmethod
    def opened(self) -> AbstractContextManager[Sound]:
        """Opens it from its first sample on.

        Raises:
            AudioError: for what is no recording, or is damaged.
        """


def block_frames(channels: int) -> int:
    """Frames a block."""
    return max(1, BLOCK_SAMPLES // channels)
