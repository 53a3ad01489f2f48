"""Stretches of speech, found while a recording is heard: a rule over the probabilities of frames of 32 ms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from emotune.audio.decoding import FloatArray

RATE_HZ = 16000
FRAME = 512
"""Samples of a frame at 16 kHz: 32 ms."""

_FRAMES_AT_ONCE = 16  # half a second: always as many, so that blocks of any size give the same to the last bit


class Frames(Protocol):
    """Method that hears the frames of a recording one after another and remembers what it heard."""

    def __call__(self, frames: FloatArray) -> FloatArray:
        """Probabilities of speech, shape (frames, FRAME) -> (frames,)."""
        ...


@dataclass(frozen=True)
class SpeechRule:
    """Hysteresis, least lengths and padding, in seconds.

    Speech begins with a frame whose probability reaches ``begin``, and ends with the last frame that reaches ``go_on``
    before a pause of ``pause_s``. What is shorter than ``shortest_s`` is no speech. The rest is padded by ``padding_s``
    on both sides, within the recording; a pause is longer than two paddings, so stretches never touch.
    """

    begin: float = 0.5
    go_on: float = 0.35
    pause_s: float = 0.5
    shortest_s: float = 0.25
    padding_s: float = 0.1

    def __post_init__(self) -> None:
        assert 0 <= self.go_on <= self.begin <= 1
        assert self.pause_s > 2 * self.padding_s >= 0


@dataclass(frozen=True)
class Stretch:
    """Speech without a long pause, from one sample to another at 16 kHz."""

    start: int
    end: int

    @property
    def length(self) -> int:
        """Samples in it."""
        return self.end - self.start


class Speech(Protocol):
    """Source of the stretches of one voice or channel, which hears a recording block by block."""

    heard: int
    """Samples so far."""

    @property
    def going_on(self) -> Stretch | None:
        """Speech that has not ended yet, as far as it is known."""
        ...

    @property
    def needed_from(self) -> int:
        """Sample before which no stretch that is still to come begins."""
        ...

    def feed(self, samples: FloatArray) -> list[Stretch]:
        """Hears a block, shape (samples,), and gives the stretches that have ended."""
        ...

    def finish(self) -> list[Stretch]:
        """Hears the end of the recording and gives the stretches that end there."""
        ...


class SpeechDetector:
    """Finds the stretches of speech of one channel, fed with its samples in blocks of any size.

    Args:
        frames: gives the probabilities; it must not have heard anything yet.
        rule: where speech begins and ends.
        frames_at_once: heard together: fewer are known sooner, more are faster. A processor may round the products of
            another number otherwise, so it stays the same where results are to be.

    >>> class Loud:
    ...     def __call__(self, frames):
    ...         return np.abs(frames).max(axis=1)
    >>> detector = SpeechDetector(Loud())
    >>> sound = np.concatenate([np.zeros(16384), np.ones(16384), np.zeros(16384)]).astype(np.float32)
    >>> [stretch for block in np.split(sound, 3) for stretch in detector.feed(block)] + detector.finish()
    [Stretch(start=14784, end=34368)]
    """

    def __init__(
        self, frames: Frames, rule: SpeechRule | None = None, *, frames_at_once: int = _FRAMES_AT_ONCE
    ) -> None:
        self.rule = rule or SpeechRule()
        self.heard = 0
        """Samples that were fed."""
        self.decided = 0
        """Samples whose probabilities are known."""
        self._frames = frames
        self._group = frames_at_once * FRAME
        self._waiting: FloatArray = np.zeros(0, dtype=np.float32)
        self._start: int | None = None  # of the speech that is going on, without padding
        self._last = 0  # end of its last frame

    @property
    def going_on(self) -> Stretch | None:
        """Speech that has not ended yet, as far as it is known, without padding at its end."""
        if self._start is None or self._last - self._start < self._samples(self.rule.shortest_s):
            return None
        return Stretch(self._padded_start(self._start), self._last)

    @property
    def needed_from(self) -> int:
        """Sample before which no stretch that is still to come begins."""
        return self._padded_start(self.decided if self._start is None else self._start)

    def feed(self, samples: FloatArray) -> list[Stretch]:
        """Hears a block, shape (samples,), and gives the stretches that have ended."""
        self.heard += len(samples)
        waiting = np.concatenate([self._waiting, samples]) if len(self._waiting) else samples
        whole = len(waiting) // self._group * self._group
        self._waiting = waiting[whole:].copy()
        groups = (waiting[at : at + self._group] for at in range(0, whole, self._group))
        return [stretch for group in groups for stretch in self._hear(group)]

    def finish(self) -> list[Stretch]:
        """Hears the end of the recording and gives the stretches that end there; the last frame is filled up."""
        ended: list[Stretch] = []
        if len(self._waiting):
            left = self._waiting
            ended = self._hear(np.pad(left, (0, -len(left) % FRAME)))
            self._waiting = left[:0]
        self.decided = self.heard
        return [*ended, *self._end()]

    def _hear(self, samples: FloatArray) -> list[Stretch]:
        ended: list[Stretch] = []
        for probability in self._frames(samples.reshape(-1, FRAME)).tolist():
            start, self.decided = self.decided, self.decided + FRAME
            if self._start is None:
                if probability >= self.rule.begin:
                    self._start, self._last = start, self.decided
            elif probability >= self.rule.go_on:
                self._last = self.decided
            elif self.decided - self._last >= self._samples(self.rule.pause_s):
                ended += self._end()
        return ended

    def _end(self) -> list[Stretch]:
        going_on, self._start = self.going_on, None
        if going_on is None:
            return []
        return [Stretch(going_on.start, min(going_on.end + self._samples(self.rule.padding_s), self.heard))]

    def _padded_start(self, start: int) -> int:
        return max(0, start - self._samples(self.rule.padding_s))

    def _samples(self, seconds: float) -> int:
        return round(seconds * RATE_HZ)
