"""Segments and channels of a sound: where they begin and end, and whether they may."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from emotune.audio.decoding.sound import FloatArray, Sound
from emotune.errors import AudioError

Channel = Literal["mix"] | int
"""``mix`` = the mean of all channels; a number = that channel alone, counted from 0."""

LENIENCE_S = 0.1
"""By which a segment may end behind the recording: tables round, and codecs cut."""
_ROUNDING_S = 0.001  # of a length at the model's rate


@dataclass(frozen=True)
class Segment:
    """Part of a recording from ``start_s`` (None = its start) to ``end_s`` (None = its end), of one channel or all."""

    start_s: float | None = None
    end_s: float | None = None
    channel: Channel = "mix"


class Cut:
    """A segment of an opened sound, in frames.

    Args:
        sound: what it is cut from.
        segment: the wanted part.
        max_duration_s: a longer one is refused: by the header where that knows the length, else while decoding.

    Raises:
        AudioError: when the sound has no such segment or channel, or the segment is too long.
    """

    def __init__(self, sound: Sound, segment: Segment, *, max_duration_s: float = math.inf) -> None:
        start_s, end_s = segment.start_s or 0.0, segment.end_s
        finite = math.isfinite(start_s) and (end_s is None or math.isfinite(end_s))
        if not finite or start_s < 0 or (end_s is not None and end_s <= start_s):
            raise AudioError(
                f"{sound.name}: the segment from {segment.start_s} to {end_s} s is not one; expected"
                " 0 <= start_s < end_s."
            )
        self.sound, self.segment, self.max_duration_s = sound, segment, max_duration_s
        self.start = round(start_s * sound.sampling_rate_hz)
        self.stop = None if end_s is None else round(end_s * sound.sampling_rate_hz)
        self._check_channel()
        if sound.frames is not None:
            self.check_ends(sound.frames)
            self.check_length(self._frames_of(sound.frames), at_least=False)
        elif self.stop is not None:
            self.check_length(self.stop - self.start, at_least=False)

    @property
    def likely_frames(self) -> int:
        """A guess of its length."""
        return max(0, self._frames_of(self.sound.likely_frames))

    def _frames_of(self, total: int) -> int:
        return (total if self.stop is None else min(self.stop, total)) - self.start

    def of_block(self, block: FloatArray, at: int) -> FloatArray:
        """Cuts the segment's frames, shape (frames, channels), out of a block that begins at frame ``at``."""
        first = max(0, self.start - at)
        block = block[first : None if self.stop is None else max(first, self.stop - at)]
        return block if self.segment.channel == "mix" else block[:, [self.segment.channel]]

    def is_complete(self, at: int) -> bool:
        """Tells whether the segment ends before frame ``at``."""
        return self.stop is not None and self.stop <= at

    def check_length(self, frames: int, *, at_least: bool) -> None:
        """Refuses a segment of so many frames, or of that and more, where it is too long."""
        duration_s = frames / self.sound.sampling_rate_hz
        if duration_s > self.max_duration_s + _ROUNDING_S:
            shown = f"longer than {self.max_duration_s:g} s" if at_least else f"{duration_s:.1f} s long"
            raise AudioError(f"{self.sound.name}: {too_long(shown, self.max_duration_s)}")

    def check_ends(self, total: int) -> None:
        """Refuses a segment that a recording of so many frames does not have."""
        name, rate, segment = self.sound.name, self.sound.sampling_rate_hz, self.segment
        if self.start and self.start >= total:
            raise AudioError(
                f"{name}: start_s {segment.start_s} lies behind the end of the recording ({total / rate:.2f} s)."
            )
        if self.stop is not None and total < self.stop - round(LENIENCE_S * rate):
            raise AudioError(
                f"{name}: end_s {segment.end_s} lies behind the end of the recording ({total / rate:.2f} s)."
            )

    def _check_channel(self) -> None:
        channel: object = self.segment.channel
        count = self.sound.channels
        is_number = isinstance(channel, int) and not isinstance(channel, bool)
        if channel == "mix" or (is_number and 0 <= channel < count):
            return
        known = "channel 0 alone" if count == 1 else f"the channels 0 to {count - 1}"
        raise AudioError(f"{self.sound.name} has no channel {channel!r}: it has {known}, or 'mix' for their mean.")


def too_long(shown: str, max_duration_s: float) -> str:
    """The words for a clip that is ``shown``, such as '31.2 s long', where that is too long."""
    return (
        f"the clip is {shown}; the model takes at most {max_duration_s:g} s. Of any length: `emotune timeline`, in"
        " Python `model.timeline(...)`, over HTTP POST /v1/timeline. Or cut it into segments, as by a table with the"
        " columns file, start_s and end_s."
    )
