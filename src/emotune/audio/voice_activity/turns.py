"""Turns of a speaker that are known beforehand, in place of what a detector finds."""

from __future__ import annotations

from collections.abc import Iterable

from emotune.audio.decoding import FloatArray
from emotune.audio.voice_activity.detector import RATE_HZ, SpeechRule, Stretch


class Turns:
    """Stretches of one speaker as a diarisation has them, joined across pauses that a detector would overlook, too.

    Args:
        turns: start and end in seconds, in any order.
        pause_s: turns that are no further apart become one stretch.

    >>> turns = Turns([(2.0, 3.0), (0.0, 1.0), (3.2, 3.5)])
    >>> turns.stretches
    (Stretch(start=0, end=16000), Stretch(start=32000, end=56000))
    """

    def __init__(self, turns: Iterable[tuple[float, float]], *, pause_s: float = SpeechRule.pause_s) -> None:
        joined: list[Stretch] = []
        for start, end in sorted((round(start_s * RATE_HZ), round(end_s * RATE_HZ)) for start_s, end_s in turns):
            if joined and start - joined[-1].end <= pause_s * RATE_HZ:
                joined[-1] = Stretch(joined[-1].start, max(joined[-1].end, end))
            elif end > start:
                joined.append(Stretch(start, end))
        self.stretches = tuple(joined)
        self.heard = 0
        self._ended = 0

    @property
    def going_on(self) -> Stretch | None:
        """The stretch that has begun and not ended."""
        if self._ended == len(self.stretches) or self.stretches[self._ended].start >= self.heard:
            return None
        return Stretch(self.stretches[self._ended].start, self.heard)

    @property
    def needed_from(self) -> int:
        """Start of the stretch that has not ended."""
        return self.heard if self._ended == len(self.stretches) else self.stretches[self._ended].start

    def feed(self, samples: FloatArray) -> list[Stretch]:
        """Hears a block, shape (samples,), and gives the stretches that have ended."""
        self.heard += len(samples)
        first = self._ended
        while self._ended < len(self.stretches) and self.stretches[self._ended].end <= self.heard:
            self._ended += 1
        return list(self.stretches[first : self._ended])

    def finish(self) -> list[Stretch]:
        """Gives the stretch that is cut off by the end of the recording; what lies behind it is none."""
        cut, self._ended = self.going_on, len(self.stretches)
        return [] if cut is None else [cut]
