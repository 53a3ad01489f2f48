"""Work on the recordings of a request or a job: predictions and timelines, in a thread."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from emotune.audio.channels import Channels
from emotune.errors import AudioError
from emotune.inference.items import Item, of_channels, with_unique_ids
from emotune.inference.predictor import Predictor
from emotune.inference.timeline.recording import RecordingTimeline, TimelineRule
from emotune.runtime.progress import Progress, silent
from emotune.schema.predictions import Prediction, Predictions
from emotune.server.job import Job, Result
from emotune.server.problems import Problem
from emotune.server.recordings import judge
from emotune.server.scheduler import Asker
from emotune.server.served_models import ServedModels
from emotune.server.settings import Limits
from emotune.server.uploads import Upload
from emotune.timelines import Timeline, Timelines, TimelineSegment


def predictions_of(
    predictor: Predictor, uploads: Sequence[Upload], channels: Channels, progress: Progress = silent
) -> Predictions:
    """Predictions of recordings, in their order.

    Raises:
        Problem: when the only recording cannot be used.
    """
    items = list(with_unique_ids(own for item in _items(uploads) for own in of_channels(item, channels)))
    found = predictor.predict_items(items, progress=progress)
    _refuse_alone(uploads, [row.error for row in found])
    return found


def timelines_of(
    predictor: Predictor,
    uploads: Sequence[Upload],
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


def job_result(models: ServedModels, limits: Limits, job: Job) -> Result:
    """Does a job.

    Raises:
        Problem: when its only recording cannot be used.
    """
    model, options = models.named(job.model), job.options
    asker = Asker(f"{job.client}, jobs", cancellation=job.cancellation)
    predictor = model.predictor_for(asker, coverage=options.coverage, threshold=options.threshold)
    if options.kind == "predict":
        longest_s = predictor.engine.preprocessing.longest_decoded_s
        judge(job.uploads, job.cancellation, limits, of_model_s=longest_s, is_job=True)
        return predictions_of(predictor, job.uploads, options.channels, job.progress)
    judge(job.uploads, job.cancellation, limits, is_job=True)
    found = timelines_of(predictor, job.uploads, options.channels, options.rule, job.progress)
    return replace(found, rows=tuple(replace(row, loudness={}) for row in found))


def with_threshold(found: Result, threshold: float) -> Result:
    """The same answers, uncertain where their confidence is under another threshold."""
    if isinstance(found, Predictions):
        rows = (replace(row, uncertain=_is_under(row, threshold)) for row in found)
        return replace(found, rows=tuple(rows), uncertain_below=threshold)
    return replace(found, rows=tuple(_timeline_with(row, threshold) for row in found))


def _is_under(answer: Prediction | TimelineSegment, threshold: float) -> bool:
    return answer.confidence is not None and answer.confidence < threshold


def _timeline_with(timeline: Timeline, threshold: float) -> Timeline:
    segments = tuple(replace(one, uncertain=_is_under(one, threshold)) for one in timeline.segments)
    return replace(timeline, segments=segments, settings={**timeline.settings, "uncertain_below": threshold})


def _items(uploads: Sequence[Upload]) -> list[Item]:
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
