"""Timeline of a recording: segments with one answer each, for every channel or speaker; between them nobody speaks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotune.schema.calibration import UNCERTAIN
from emotune.schema.labels import LabelSpace

NO_SPEECH = "no speech"
"""The word of tables for a time in which nobody speaks; ``uncertain`` is that for speech without an answer."""


@dataclass(frozen=True, order=True)
class Track:
    """Voice of a recording: a channel (None = the mean of all) or a speaker of a diarisation, or both."""

    channel: int | None = None
    speaker: str | None = None

    @property
    def name(self) -> str:
        """Words for it; empty for a recording's only one."""
        channel = () if self.channel is None else (f"channel {self.channel}",)
        return ", ".join([*((self.speaker,) if self.speaker else ()), *channel])


@dataclass(frozen=True)
class TimelineSegment:
    """Speech with one answer.

    Args:
        start_s, end_s: whole milliseconds from the beginning of the recording; neighbours share the number to the bit.
        probabilities: class -> probability.
        dimensions: dimension -> value on its scale.
        track: whose speech it is.
        uncertain: the model's confidence is under the threshold that was asked for.
    """

    start_s: float
    end_s: float
    probabilities: Mapping[str, float] = field(default_factory=dict[str, float])
    dimensions: Mapping[str, float] = field(default_factory=dict[str, float])
    track: Track = Track()
    uncertain: bool = False

    @property
    def duration_s(self) -> float:
        """Length in seconds, whole milliseconds."""
        return round(self.end_s - self.start_s, 3)

    @property
    def confidence(self) -> float | None:
        """The largest probability; None without classes."""
        return max(self.probabilities.values(), default=None)

    @property
    def most_probable(self) -> str | None:
        """The most probable class; None without classes."""
        return max(self.probabilities, key=self.probabilities.__getitem__) if self.probabilities else None

    @property
    def emotion(self) -> str | None:
        """The most probable class, or ``uncertain``; None without classes."""
        return UNCERTAIN if self.uncertain else self.most_probable


@dataclass(frozen=True)
class UnansweredWindow:
    """Speech that the model was to hear at a time and could not answer; what other windows hold of it is answered."""

    start_s: float
    end_s: float
    error: str
    track: Track = Track()


@dataclass(frozen=True)
class Timeline:
    """All of one recording, or the error that prevented it.

    Args:
        recording: its id, such as its file's name.
        label_space: classes and dimensions of the answers.
        duration_s: of the recording.
        segments: by track, then by time.
        tracks: voices that were listened to, also those that never spoke.
        error: why there is nothing else.
        unanswered: windows without an answer, and so perhaps speech without a segment.
        loudness: of each channel, peaks of ``loudness_step_s`` each, for pictures.
        settings: what the segments depend on: windows, voice activity, coverage.
    """

    recording: str
    label_space: LabelSpace
    duration_s: float = 0.0
    segments: tuple[TimelineSegment, ...] = ()
    tracks: tuple[Track, ...] = ()
    error: str | None = None
    unanswered: tuple[UnansweredWindow, ...] = ()
    loudness: Mapping[int | None, NDArray[np.float32]] = field(
        default_factory=dict[int | None, NDArray[np.float32]], repr=False, compare=False
    )
    loudness_step_s: float = 0.02
    settings: Mapping[str, Any] = field(default_factory=dict[str, Any])
    model_fingerprint: str | None = None

    def of(self, track: Track) -> tuple[TimelineSegment, ...]:
        """Segments of one voice."""
        return tuple(segment for segment in self.segments if segment.track == track)

    def silences(self, channel: int | None) -> list[tuple[float, float]]:
        """Times in seconds at which nobody speaks on a channel."""
        heard = (*self.segments, *self.unanswered)
        own = [one for one in heard if one.track.channel == channel and one.start_s < self.duration_s]
        speech = sorted((one.start_s, one.end_s) for one in own)
        silences: list[tuple[float, float]] = []
        at = 0.0
        for start_s, end_s in [*speech, (self.duration_s, self.duration_s)]:
            if start_s > at:
                silences.append((at, start_s))
            at = max(at, end_s)
        return silences

    @property
    def channels(self) -> tuple[int | None, ...]:
        """Channels that were listened to; (None,) for the mean of all."""
        return tuple(dict.fromkeys(track.channel for track in self.tracks))

    def write(self, path: str | Path) -> None:
        """Writes it; the suffix chooses the format, see ``emotune.timelines.formats``."""
        from emotune.timelines.formats import write_timelines  # noqa: PLC0415 (formats know timelines)

        write_timelines(Path(path), Timelines((self,), self.label_space))


@dataclass(frozen=True)
class Timelines:
    """Timelines of many recordings by one model."""

    rows: tuple[Timeline, ...]
    label_space: LabelSpace

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Timeline]:
        return iter(self.rows)

    @property
    def failed(self) -> Sequence[Timeline]:
        """Those with an error."""
        return [row for row in self.rows if row.error is not None]

    @property
    def errors(self) -> list[str]:
        """Errors with whole recordings, and with windows of others."""
        return [
            error
            for row in self.rows
            for error in (*((row.error,) if row.error is not None else ()), *(one.error for one in row.unanswered))
        ]
