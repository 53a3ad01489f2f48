"""JSON in the shapes of Hume's Expression Measurement, for programs that were written for it.

``hume_text`` has the shape of the present answer to an uploaded file: utterances, and measurements of them in
milliseconds. ``hume_batch_text`` has that of the predictions of a batch job, which was switched off in June 2026: the
prosody model, in seconds. What emotune does not know is absent or null, never made up.

Reference:
    Hume AI, Expression Measurement: Upload audio (2026), and Batch: Get job predictions (until 2026); dev.hume.ai.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

from emotune.io.tables import to_json
from emotune.timelines.formats.labels import milliseconds
from emotune.timelines.timeline import Timeline, Timelines, TimelineSegment, Track

_DIGITS = 4  # of a probability, as in their answers


def hume_text(timeline: Timeline) -> str:
    """Utterances, each a stretch of one voice without a pause, and a measurement for each segment."""
    utterances: list[dict[str, Any]] = []
    measurements: list[dict[str, Any]] = []
    spoken = [(track, stretch) for track in timeline.tracks for stretch in _stretches(timeline.of(track))]
    spoken.sort(key=lambda pair: pair[1][0].start_s)
    for number, (track, stretch) in enumerate(spoken, start=1):
        name = f"utterance-{number}"
        times = _span(stretch[0].start_s, stretch[-1].end_s)
        utterances.append({"utterance_id": name, **times, **_voice(track)})
        for one in stretch:
            measurements.append(
                {
                    "utterance_id": name,
                    "trigger": "speech_ended" if one is stretch[-1] else "interval",
                    **_span(one.start_s, one.end_s),
                    "expressions": _scores(one, "probability"),
                    "voice_attributes": [],
                }
            )
    return to_json({"utterances": utterances, "measurements": measurements}) + "\n"


def hume_batch_text(timelines: Timelines) -> str:
    """A list of sources; those that failed have an error and no predictions."""
    return to_json([_source(timeline) for timeline in timelines]) + "\n"


def _source(timeline: Timeline) -> dict[str, Any]:
    faults = [timeline.error] if timeline.error is not None else [one.error for one in timeline.unanswered]
    groups = [
        {"id": track.name or "unknown", "predictions": [_prediction(one) for one in timeline.of(track)]}
        for track in timeline.tracks
    ]
    prosody = {"metadata": None, "grouped_predictions": groups}
    predictions = [] if timeline.error is not None else [{"file": timeline.recording, "models": {"prosody": prosody}}]
    return {
        "source": {"type": "file", "filename": timeline.recording},
        "results": {
            "predictions": predictions,
            "errors": [{"message": fault, "file": timeline.recording} for fault in faults],
        },
    }


def _prediction(one: TimelineSegment) -> dict[str, Any]:
    unknown = {"text": None, "confidence": None, "speaker_confidence": None}
    return {**unknown, "time": {"begin": one.start_s, "end": one.end_s}, "emotions": _scores(one, "score")}


def _stretches(segments: Sequence[TimelineSegment]) -> Iterator[list[TimelineSegment]]:
    """Segments that touch each other."""
    stretch: list[TimelineSegment] = []
    for one, following in itertools.zip_longest(segments, segments[1:]):
        stretch.append(one)
        if following is None or following.start_s > one.end_s:
            yield stretch
            stretch = []


def _scores(one: TimelineSegment, word: str) -> list[dict[str, Any]]:
    """All classes, the most probable first."""
    shares = sorted(one.probabilities.items(), key=lambda pair: -pair[1])
    return [{"name": name, word: round(share, _DIGITS)} for name, share in shares]


def _span(start_s: float, end_s: float) -> dict[str, int]:
    return {"audio_start_ms": milliseconds(start_s), "audio_end_ms": milliseconds(end_s)}


def _voice(track: Track) -> dict[str, Any]:
    """Fields of ours, where a recording has several voices."""
    known = {"channel": track.channel, "speaker": track.speaker}
    return {name: value for name, value in known.items() if value is not None}
