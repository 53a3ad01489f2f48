"""Timelines in JSON, the same in files and in the answers of a server, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from emotune.io.tables import to_json
from emotune.schema.labels import LabelSpace
from emotune.timelines.formats.labels import milliseconds
from emotune.timelines.summary import Summary, summaries
from emotune.timelines.timeline import NO_SPEECH, Timeline, Timelines, TimelineSegment, Track, UnansweredWindow

Json = Mapping[str, Any]
SCHEMA = "emotune-timeline/2"  # of the document; tables have one of their own


def json_text(timelines: Timelines) -> str:
    """All that is known of recordings, as a document; of the model its fingerprint, classes and dimensions."""
    fingerprint = next((one.model_fingerprint for one in timelines if one.error is None), None)
    model = {"fingerprint": fingerprint, **scales_to_json(timelines.label_space)}
    return to_json(timelines_to_json(timelines, model)) + "\n"


def timelines_to_json(timelines: Timelines, model: Json) -> dict[str, Any]:
    """All that is known of recordings, with a description of the model that answered."""
    return {
        "schema": SCHEMA,
        "model": model,
        "timelines": [timeline_to_json(one) for one in timelines],
        "settings": settings_of(timelines),
    }


def scales_to_json(space: LabelSpace) -> dict[str, Any]:
    """Classes, and dimensions with the ends of their scales."""
    scales = {name: {"low": scale.low, "high": scale.high} for name, scale in space.dimensions.items()}
    return {"classes": list(space.classes), "dimensions": scales}


def settings_of(timelines: Timelines) -> dict[str, Any]:
    """Settings of the first timeline that there is; they are those of all."""
    return next((dict(one.settings) for one in timelines if one.error is None), {})


def timeline_to_json(timeline: Timeline) -> dict[str, Any]:
    """One timeline, or the error in its place; its model and settings stand elsewhere, once for all."""
    return {
        "file": timeline.recording,
        "duration_s": timeline.duration_s,
        "channels": list(timeline.channels),
        "segments": [segment_to_json(one) for one in timeline.segments],
        "silences": [
            {
                "start_ms": milliseconds(start_s),
                "end_ms": milliseconds(end_s),
                "channel": channel,
                "emotion": NO_SPEECH,
            }
            for channel in timeline.channels
            for start_s, end_s in timeline.silences(channel)
        ],
        "errors": [unanswered_to_json(one) for one in timeline.unanswered],
        "summary": {"voices": [_voice(one) for one in summaries(timeline)] if timeline.error is None else []},
        "error": timeline.error,
    }


def timeline_from_json(found: Json, label_space: LabelSpace) -> Timeline:
    """Reads the output of ``timeline_to_json``.

    Raises:
        KeyError, TypeError, ValueError, AttributeError: for what is none.
    """
    return Timeline(
        found["file"],
        label_space,
        found["duration_s"],
        tuple(segment_from_json(one) for one in found["segments"]),
        tuple(_track(one) for one in found["summary"]["voices"]),
        found["error"],
        tuple(unanswered_from_json(one) for one in found.get("errors", ())),  # servers before this field had none
    )


def segment_to_json(segment: TimelineSegment) -> dict[str, Any]:
    """One segment."""
    return {
        **_place(segment),
        "emotion": segment.emotion,
        "confidence": segment.confidence,
        "uncertain": segment.uncertain,
        "probabilities": dict(segment.probabilities),
        "dimensions": dict(segment.dimensions),
    }


def segment_from_json(one: Json) -> TimelineSegment:
    """Reads the output of ``segment_to_json``."""
    return TimelineSegment(
        one["start_ms"] / 1000,
        one["end_ms"] / 1000,
        one["probabilities"],
        one["dimensions"],
        _track(one),
        one["uncertain"],
    )


def unanswered_to_json(window: UnansweredWindow) -> dict[str, Any]:
    """One window without an answer, with the reason."""
    return {**_place(window), "error": window.error}


def unanswered_from_json(one: Json) -> UnansweredWindow:
    """Reads the output of ``unanswered_to_json``."""
    return UnansweredWindow(one["start_ms"] / 1000, one["end_ms"] / 1000, one["error"], _track(one))


def _place(one: TimelineSegment | UnansweredWindow) -> dict[str, Any]:
    return {
        "start_ms": milliseconds(one.start_s),
        "end_ms": milliseconds(one.end_s),
        "channel": one.track.channel,
        "speaker": one.track.speaker,
    }


def _track(one: Json) -> Track:
    return Track(one["channel"], one["speaker"])


def _voice(summary: Summary) -> dict[str, Any]:
    return {
        "channel": summary.track.channel,
        "speaker": summary.track.speaker,
        "speech_s": summary.speech_s,
        "silence_s": summary.silence_s,
        "shares": dict(summary.shares),
        "uncertain": summary.uncertain,
        "changes": summary.changes,
        "changes_a_minute": summary.changes_a_minute,
        "most": summary.most,
        "dimensions": dict(summary.dimensions),
    }
