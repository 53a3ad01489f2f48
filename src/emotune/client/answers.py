"""Answers of a server as the objects that a loaded model gives."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from emotune.audio.channels import EACH, Channels, channel_id
from emotune.client.failures import error_of
from emotune.errors import ServerError
from emotune.inference.items import Item
from emotune.inference.stream import Estimate
from emotune.schema.labels import LabelSpace, Scale
from emotune.schema.predictions import Prediction
from emotune.timelines import Timeline, TimelineSegment, UnansweredWindow
from emotune.timelines.formats.json_document import segment_from_json, timeline_from_json, unanswered_from_json

Json = Mapping[str, Any]
Event = Estimate | TimelineSegment | UnansweredWindow
_Given = ParamSpec("_Given")
_Found = TypeVar("_Found")


def _understood(read: Callable[_Given, _Found]) -> Callable[_Given, _Found]:
    """Turns what a field of an answer lacks into one error."""

    @wraps(read)
    def reads(*given: _Given.args, **named: _Given.kwargs) -> _Found:
        try:
            return read(*given, **named)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ServerError(f"The answer is not one of emotune serve ({type(error).__name__}: {error}).") from error

    return reads


@_understood
def label_space_of(model: Json) -> LabelSpace:
    """Classes and dimensions of a model."""
    scales = {name: Scale(ends["low"], ends["high"]) for name, ends in model["dimensions"].items()}
    return LabelSpace(tuple(model["classes"]), scales)


@_understood
def predictions_of(item: Item, body: Json, channel: Channels) -> list[Prediction]:
    """Rows of one recording: one, or one for each channel."""
    return [_prediction(item, row, channel) for row in body["predictions"]]


def _prediction(item: Item, row: Json, channel: Channels) -> Prediction:
    extra = dict(item.extra) if channel == "mix" else {**item.extra, "channel": row["channel"]}
    own: int | None = row["channel"] if channel == EACH else None
    return Prediction(
        item.utterance_id if own is None else channel_id(item.utterance_id, own),
        row["probabilities"],
        row["dimensions"],
        row["conditions_used"],
        row["error"],
        row["uncertain"],
        extra,
        row["warning"],
    )


@_understood
def timeline_of(item: Item, body: Json) -> Timeline:
    """Timeline of one recording."""
    (found,) = body["timelines"]
    return replace(
        timeline_from_json(found, label_space_of(body["model"])),
        recording=item.utterance_id,
        settings=body["settings"],
        model_fingerprint=body["model"]["fingerprint"],
    )


@_understood
def event_of(event: Json) -> Event | None:
    """Estimate, segment or window without an answer; None for a stream's beginning and its end.

    Raises:
        EmotuneError: that ended the stream.
    """
    if event["type"] == "error":
        raise error_of(event["problem"])
    if event["type"] == "segment":
        return segment_from_json(event)
    if event["type"] == "unanswered":
        return unanswered_from_json(event)
    return _estimate(event) if event["type"] == "estimate" else None


def _estimate(one: Json) -> Estimate:
    error = one.get("error")  # servers before this field ended the stream
    answered = Prediction("window", one["probabilities"], one["dimensions"], error=error, uncertain=one["uncertain"])
    is_answered = bool(one["probabilities"] or one["dimensions"] or error)
    return Estimate(
        one["start_ms"] / 1000,
        one["end_ms"] / 1000,
        one["speech_ms"] / 1000,
        one["is_speaking"],
        answered if is_answered else None,
        one["lag_ms"] / 1000,
        one["skipped"],
    )


def failed_row(item: Item, error: Exception, channel: Channels) -> Prediction:
    """Row of a recording that could not be sent or used."""
    extra = item.extra if channel == "mix" else {**item.extra, "channel": None if channel == EACH else channel}
    return Prediction(item.utterance_id, error=str(error), extra=extra)
