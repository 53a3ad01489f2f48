"""Tables of segments, and JSON: all that is known, times without speech among it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from emotune.io.tables import Row, to_json, write_rows
from emotune.schema.labels import LabelSpace
from emotune.timelines.summary import summaries
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


def json_text(timelines: Timelines) -> str:
    """All recordings with their segments and summaries."""
    return (
        to_json(
            {
                "schema": SCHEMA,
                **timelines.label_space.to_json(),
                **_about(timelines),
                "recordings": [_json(timeline) for timeline in timelines],
            }
        )
        + "\n"
    )


def _json(timeline: Timeline) -> dict[str, Any]:
    if timeline.error is not None:
        return {"recording": timeline.recording, "error": timeline.error}
    segments: list[dict[str, Any]] = []
    errors: list[dict[str, Any]] = []
    for row in rows_of(timeline):
        if row.get("error") is not None:
            errors.append({name: value for name, value in row.items() if name != "recording" and value is not None})
            continue
        kept = {name: row[name] for name in ("channel", "speaker") if row.get(name) is not None}
        kept |= {name: row[name] for name in ("start_s", "end_s", "emotion") if row.get(name) is not None}
        if row["emotion"] != NO_SPEECH or "confidence" in row:
            shares = {name[2:]: value for name, value in row.items() if name.startswith("p.")}
            kept |= {"confidence": row["confidence"], "probabilities": shares} if shares else {}
            dimensions = {name: row[name] for name in timeline.label_space.dimensions}
            kept |= {"dimensions": dimensions} if dimensions else {}
        segments.append(kept)
    return {
        "recording": timeline.recording,
        "duration_s": timeline.duration_s,
        "summary": [
            {
                "channel": one.track.channel,
                "speaker": one.track.speaker,
                "speech_s": one.speech_s,
                "silence_s": one.silence_s,
                "shares": dict(one.shares),
                "uncertain": one.uncertain,
                "changes": one.changes,
                "dimensions": dict(one.dimensions),
            }
            for one in summaries(timeline)
        ],
        "segments": segments,
        **({"errors": errors} if errors else {}),
    }


def _about(timelines: Timelines) -> dict[str, Any]:
    first = next((timeline for timeline in timelines if timeline.error is None), None)
    return {} if first is None else {"model_fingerprint": first.model_fingerprint, "settings": dict(first.settings)}
