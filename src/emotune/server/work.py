"""Work on the recordings of a request or a job: predictions and timelines, in a thread."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

from emotune.audio.channels import Channels
from emotune.errors import AudioError
from emotune.inference.items import Item, of_channels, with_unique_ids
from emotune.inference.predictor import Predictor
from emotune.inference.timeline.recording import RecordingTimeline, TimelineRule
from emotune.runtime.progress import Progress, silent
from emotune.schema.predictions import Predictions
from emotune.server.problems import Problem
from emotune.server.uploads import Upload, Uploads
from emotune.timelines import Timeline, Timelines


def predictions_of(predictor: Predictor, uploads: Uploads, channels: Channels) -> Predictions:
    """Predictions of recordings, in their order.

    Raises:
        Problem: when the only recording cannot be used.
    """
    items = list(with_unique_ids(own for item in _items(uploads) for own in of_channels(item, channels)))
    found = predictor.predict_items(items)
    _refuse_alone(uploads, [row.error for row in found])
    return found


def timelines_of(
    predictor: Predictor,
    uploads: Uploads,
    channels: Channels,
    rule: TimelineRule,
    progress: Progress = silent,
) -> Timelines:
    """Timelines of recordings, in their order.

    Raises:
        Problem: when the only recording cannot be used.
        ConfigError: when the model takes no windows of the rule's length.
    """
    rows = [_timeline(predictor, item, channels, rule, progress) for item in with_unique_ids(_items(uploads))]
    _refuse_alone(uploads, [row.error for row in rows])
    return Timelines(tuple(rows), predictor.label_space)


def judge(uploads: Uploads) -> None:
    """Refuses recordings that are too large by their headers, before any is decoded; work on them says so."""
    for upload in uploads:
        with contextlib.suppress(AudioError):
            upload.judge()


def _items(uploads: Uploads) -> list[Item]:
    return [Item(upload.name, upload, extra={"file": upload.name}) for upload in uploads]


def _timeline(predictor: Predictor, item: Item, channels: Channels, rule: TimelineRule, progress: Progress) -> Timeline:
    try:
        return RecordingTimeline(predictor, item, channel=channels, rule=rule).run(progress)
    except AudioError as error:
        return Timeline(item.utterance_id, predictor.label_space, error=str(error))


def _refuse_alone(uploads: Sequence[Upload], errors: Sequence[str | None]) -> None:
    """Turns the error of a request's only recording into the answer; among several it is a row."""
    if len(uploads) == 1 and errors and all(error is not None for error in errors):
        raise Problem("too-large" if uploads[0].was_too_large else "recording", str(errors[0]))
