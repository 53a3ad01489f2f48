"""Summaries of timelines: how long each voice of a recording speaks, and how, with how many changes."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from emotune.io.tables import Row, write_rows
from emotune.schema.calibration import UNCERTAIN
from emotune.timelines.timeline import Timeline, Timelines, TimelineSegment, Track

SCHEMA = "emotune-timeline-summary/1"
_CHANGE_WITHIN_S = 60.0
"""Segments that are further apart are two conversations: what is between them is no change."""


@dataclass(frozen=True)
class Summary:
    """A voice of a recording.

    Args:
        recording, track: whose it is.
        duration_s: of the recording.
        speech_s, silence_s: of the voice; the rest of the recording it is silent.
        shares: class -> share of its speech that was answered so, uncertain speech apart.
        uncertain: share of its speech.
        changes: number of segments with another class than the segment before, uncertain ones passed over.
        dimensions: mean over its speech.
    """

    recording: str
    track: Track
    duration_s: float
    speech_s: float
    shares: Mapping[str, float]
    uncertain: float
    changes: int
    dimensions: Mapping[str, float]

    @property
    def silence_s(self) -> float:
        """Time in which it does not speak."""
        return round(self.duration_s - self.speech_s, 3)

    @property
    def changes_a_minute(self) -> float:
        """Changes a minute of its speech."""
        return 60 * self.changes / self.speech_s if self.speech_s else math.nan

    @property
    def most(self) -> str | None:
        """The class of the most speech; None where there is none."""
        return max(self.shares, key=self.shares.__getitem__) if any(self.shares.values()) else None


def summaries(timelines: Timeline | Timelines) -> list[Summary]:
    """A summary for each voice of each recording that has a timeline."""
    rows = [timelines] if isinstance(timelines, Timeline) else timelines
    return [_summary(row, track) for row in rows if row.error is None for track in row.tracks]


def write_summary(path: Path, timelines: Timelines) -> None:
    """Writes a table of summaries, a row for each voice; recordings with an error are rows with it.

    Raises:
        TableError: when it cannot be written.
    """
    space = timelines.label_space
    shares = [f"share.{name}" for name in space.classes]
    of_classes = [*shares, "uncertain", "changes", "changes_a_minute", "most"] if space.classes else []
    numbers = ["duration_s", "speech_s", "silence_s", "silence", *of_classes[:-1], *space.dimensions]
    columns = ["recording", "channel", "speaker", *numbers, *of_classes[-1:], "error"]
    rows: list[Row] = [
        {
            "recording": one.recording,
            "channel": one.track.channel,
            "speaker": one.track.speaker,
            "duration_s": one.duration_s,
            "speech_s": one.speech_s,
            "silence_s": one.silence_s,
            "silence": one.silence_s / one.duration_s if one.duration_s else math.nan,
            **{f"share.{name}": share for name, share in one.shares.items()},
            "uncertain": one.uncertain,
            "changes": one.changes,
            "changes_a_minute": one.changes_a_minute,
            "most": one.most,
            **one.dimensions,
        }
        for one in summaries(timelines)
    ]
    rows += [{"recording": row.recording, "error": row.error} for row in timelines.failed]
    write_rows(path, columns, rows, {"schema": SCHEMA, **space.to_json()}, numbers=numbers)


def _summary(timeline: Timeline, track: Track) -> Summary:
    segments = timeline.of(track)
    speech_s = math.fsum(one.duration_s for one in segments)
    space = timeline.label_space

    def share(answer: str) -> float:
        return math.fsum(one.duration_s for one in segments if one.emotion == answer) / speech_s if speech_s else 0.0

    def mean(name: str) -> float:
        total = math.fsum(one.dimensions[name] * one.duration_s for one in segments)
        return total / speech_s if speech_s else math.nan

    return Summary(
        timeline.recording,
        track,
        timeline.duration_s,
        round(speech_s, 3),
        {name: share(name) for name in space.classes},
        share(UNCERTAIN),
        _changes(segments),
        {name: mean(name) for name in space.dimensions},
    )


def _changes(segments: Sequence[TimelineSegment]) -> int:
    answered = [one for one in segments if one.emotion not in (None, UNCERTAIN)]
    return sum(
        before.emotion != after.emotion and after.start_s - before.end_s <= _CHANGE_WITHIN_S
        for before, after in itertools.pairwise(answered)
    )
