"""Blocks of sound between the thread that receives them and the one that listens: never more than some seconds."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from emotune.audio.decoding import FloatArray


@dataclass(frozen=True)
class Block:
    """Samples that arrived together.

    Args:
        samples: shape (samples,) or (samples, channels), floats in [-1, 1] or integers.
        sampling_rate_hz: of the samples.
        arrived: when the last of them came, by ``time.monotonic``.
    """

    samples: FloatArray
    sampling_rate_hz: int
    arrived: float

    @property
    def duration_s(self) -> float:
        """Duration in seconds."""
        return len(self.samples) / self.sampling_rate_hz


class Source(Protocol):
    """Something that sounds: it fills an inbox for the time of a ``with`` block."""

    def into(self, inbox: Inbox) -> AbstractContextManager[None]:
        """Puts each block into the inbox when it is there, and closes the inbox after the last."""
        ...


class Inbox:
    """Blocks that have arrived and are not taken yet.

    Where more waits than it holds, the oldest is lost: silence of the same length is given in its place, so that times
    stay right.

    Args:
        holds_s: seconds that may wait.
        clock: gives the time.
    """

    def __init__(self, *, holds_s: float = 10.0, clock: Callable[[], float] = time.monotonic) -> None:
        self.lost_s = 0.0
        """Seconds that were lost in all."""
        self._holds_s = holds_s
        self._clock = clock
        self._blocks: deque[Block] = deque()
        self._waiting_s, self._silenced = 0.0, 0
        self._changed = threading.Condition()
        self._is_closed = False
        self._error: Exception | None = None

    def put(self, samples: FloatArray, sampling_rate_hz: int) -> None:
        """Takes in a block that has just arrived."""
        block = Block(samples, sampling_rate_hz, self._clock())
        with self._changed:
            self._blocks.append(block)
            self._waiting_s += block.duration_s
            self._lose()
            self._changed.notify()

    def _lose(self) -> None:
        while self._waiting_s > self._holds_s:
            lost = self._blocks[self._silenced]
            silence = np.broadcast_to(np.zeros(1, dtype=np.float32), (len(lost.samples),))  # one sample, many times
            self._blocks[self._silenced] = Block(silence, lost.sampling_rate_hz, lost.arrived)
            self._silenced += 1
            self._waiting_s -= lost.duration_s
            self.lost_s += lost.duration_s

    def close(self, error: Exception | None = None) -> None:
        """Says that nothing more will come, and why if that is a fault."""
        with self._changed:
            self._is_closed = True
            self._error = error
            self._changed.notify()

    def take(self, timeout_s: float) -> list[Block] | None:
        """All blocks that wait; none where no sound came for as long, None where none will come any more.

        Raises:
            Exception: that ended the source.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._blocks or self._is_closed, timeout_s)
            if not self._blocks and self._is_closed:
                if self._error is not None:
                    raise self._error
                return None
            taken = list(self._blocks)
            self._blocks.clear()
            self._waiting_s, self._silenced = 0.0, 0
            return taken
