"""Answers in JSON: predictions, timelines and their segments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from emotune.schema.predictions import Prediction
from emotune.timelines import NO_SPEECH, Timeline, TimelineSegment
from emotune.timelines.formats.labels import milliseconds
from emotune.timelines.summary import Summary, summaries


def prediction_json(row: Prediction) -> dict[str, Any]:
    """One prediction, or the error in its place; ``file`` and ``channel`` are in its own columns."""
    return {
        "file": row.extra["file"],
        "channel": row.extra.get("channel"),
        "emotion": row.emotion,
        "confidence": max(row.probabilities.values(), default=None),
        "uncertain": row.uncertain,
        "probabilities": dict(row.probabilities),
        "dimensions": dict(row.dimensions),
        "conditions_used": row.conditions_used,
        "warning": row.warning,
        "error": row.error,
    }


def timeline_json(timeline: Timeline) -> dict[str, Any]:
    """One timeline, or the error in its place."""
    return {
        "file": timeline.recording,
        "duration_s": timeline.duration_s,
        "channels": list(timeline.channels),
        "segments": [segment_json(one) for one in timeline.segments],
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
        "summary": {"voices": [_voice(one) for one in summaries(timeline)] if timeline.error is None else []},
        "error": timeline.error,
    }


def segment_json(segment: TimelineSegment) -> dict[str, Any]:
    """One segment of a timeline."""
    return {
        "start_ms": milliseconds(segment.start_s),
        "end_ms": milliseconds(segment.end_s),
        "channel": segment.track.channel,
        "speaker": segment.track.speaker,
        "emotion": segment.emotion,
        "confidence": segment.confidence,
        "uncertain": segment.uncertain,
        "probabilities": dict(segment.probabilities),
        "dimensions": dict(segment.dimensions),
    }


def settings_of(timelines: Sequence[Timeline]) -> dict[str, Any]:
    """Settings of the first timeline that there is; they are those of all."""
    return next((dict(one.settings) for one in timelines if one.error is None), {})


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
