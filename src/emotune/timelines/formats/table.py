"""Tables of segments: all that is known, times without speech among it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from emotune.io.tables import Row, write_rows
from emotune.schema.labels import LabelSpace
from emotune.timelines.timeline import NO_SPEECH, Timeline, Timelines

SCHEMA = "emotune-timeline/1"


def write_table(path: Path, timelines: Timelines) -> None:
    """Writes a row for each segment, each time without speech, and each window and recording that failed.

    Raises:
        TableError: when it cannot be written.
    """
    rows = [row for timeline in timelines for row in rows_of(timeline)]
    metadata = {"schema": SCHEMA, **timelines.label_space.to_json(), **_about(timelines)}
    numbers = ["start_s", "end_s", *_numbers(timelines.label_space)]
    write_rows(path, columns_of(timelines), rows, metadata, numbers=numbers)


def columns_of(timelines: Timelines) -> list[str]:
    """Columns of the table."""
    head = ["recording", "channel", "speaker", "start_s", "end_s", "emotion"]
    return [*head, *_numbers(timelines.label_space), "error"]


def _numbers(space: LabelSpace) -> list[str]:
    confidence = ["confidence"] if space.classes else []
    return [*(f"p.{name}" for name in space.classes), *confidence, *space.dimensions]


def rows_of(timeline: Timeline) -> list[Row]:
    """One dictionary a segment, time without speech or window without an answer, by channel, then by time."""
    if timeline.error is not None:
        return [{"recording": timeline.recording, "error": timeline.error}]
    rows: list[Row] = []
    for channel in timeline.channels:
        rows += [
            {"channel": channel, "start_s": start_s, "end_s": end_s, "emotion": NO_SPEECH}
            for start_s, end_s in timeline.silences(channel)
        ]
    rows += [
        {
            "channel": one.track.channel,
            "speaker": one.track.speaker,
            "start_s": one.start_s,
            "end_s": one.end_s,
            "emotion": one.emotion,
            **{f"p.{name}": value for name, value in one.probabilities.items()},
            "confidence": one.confidence,
            **one.dimensions,
        }
        for one in timeline.segments
    ]
    rows += [
        {
            "channel": one.track.channel,
            "speaker": one.track.speaker,
            "start_s": one.start_s,
            "end_s": one.end_s,
            "error": one.error,
        }
        for one in timeline.unanswered
    ]
    rows.sort(key=lambda row: (row["channel"] or 0, row["start_s"], row.get("speaker") or ""))
    return [{"recording": timeline.recording, **row} for row in rows]


def _about(timelines: Timelines) -> dict[str, Any]:
    first = next((timeline for timeline in timelines if timeline.error is None), None)
    return {} if first is None else {"model_fingerprint": first.model_fingerprint, "settings": dict(first.settings)}
