"""Timelines of files, written as they are asked for; a bad recording is a row with its error."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from emotune.audio.channels import EACH
from emotune.errors import AudioError, ConfigError, TableError
from emotune.inference.inputs import Inputs
from emotune.inference.items import Item
from emotune.inference.loading import load_and_say
from emotune.inference.predictor import Predictor
from emotune.inference.timeline.recording import RecordingTimeline, TimelineRule, check_windows
from emotune.io.tables import check_output
from emotune.runtime.listener import Listener
from emotune.runtime.progress import Progress, silent
from emotune.schema.labels import LabelSpace
from emotune.timelines.diarisation import SpeakerTurns, read_rttm, turns_of
from emotune.timelines.formats import PLACE, check_formats, check_place, write_timelines
from emotune.timelines.summary import write_summary
from emotune.timelines.timeline import Timeline, Timelines


def timeline_files(
    model: str,
    inputs: Inputs,
    outputs: Sequence[Path] = (),
    *,
    summary: Path | None = None,
    pictures: Sequence[Path] = (),
    speakers: Path | None = None,
    rule: TimelineRule | None = None,
    listener: Listener | None = None,
    progress: Progress = silent,
    **loading: Any,
) -> Timelines:
    """Makes the timelines of files, of any length, and writes them; the suffix of an output chooses its format.

    Args:
        model: as ``emotune.load`` has it.
        inputs: recordings, folders, tables, lists.
        outputs: files to write. Where a name holds ``{name}`` each recording has its own, written as soon as it is
            done; else all are in one, written at the end.
        summary: table to write with a row for each voice of each recording.
        pictures: to be drawn afterwards; refused like outputs where one would have to hold several recordings.
        speakers: RTTM file of a diarisation, whose turns take the place of voice activity.
        rule: windows, voice activity and smoothing.
        listener: told of columns, of files passed over, and of what the model has to do without.
        progress: shows how far each recording is, in seconds of it.
        loading: options of ``emotune.load``.

    Raises:
        EmotuneError: for inputs, a model or an output that cannot be used.
    """
    listener = listener or Listener()
    if speakers is not None and inputs.channel == EACH:
        raise ConfigError("--channel each takes each channel for a speaker: leave out --speakers, or name one channel.")
    items = checked_items(inputs, outputs, summary=summary, pictures=pictures, listener=listener)
    diarisation: Mapping[str, SpeakerTurns] = {} if speakers is None else read_rttm(speakers)
    predictor = load_and_say(model, listener, loading)
    rule = rule or TimelineRule()
    check_windows(rule.windows, predictor.engine.preprocessing)

    def timeline(item: Item) -> Timeline:
        turns = None if speakers is None else turns_of(diarisation, item.utterance_id, speakers)
        return _timeline(predictor, item, inputs, turns, rule, progress)

    return written_timelines(items, timeline, predictor.label_space, outputs, summary=summary)


def checked_items(
    inputs: Inputs, outputs: Sequence[Path], *, summary: Path | None, pictures: Sequence[Path], listener: Listener
) -> list[Item]:
    """Recordings among the inputs, once it is sure that what is to be written can be.

    Raises:
        EmotuneError: for inputs or an output that cannot be used.
    """
    inputs.say_columns(listener)
    items = inputs.listed(listener, channels_apart=False)
    check_formats(outputs, [item.utterance_id for item in items], inputs.paths)
    for path in pictures:
        check_place(path, [item.utterance_id for item in items], one_each=True)
    if summary is not None:
        check_output(summary, inputs=inputs.paths)
    return items


def written_timelines(
    items: Iterable[Item],
    timeline: Callable[[Item], Timeline],
    space: LabelSpace,
    outputs: Sequence[Path],
    *,
    summary: Path | None,
) -> Timelines:
    """Timelines of items, written; an item that cannot be used is one with its error.

    Raises:
        TableError: when a file cannot be written.
    """
    rows: list[Timeline] = []
    for item in items:
        try:
            row = timeline(item)
        except (AudioError, TableError) as error:
            row = Timeline(item.utterance_id, space, error=str(error))
        rows.append(row)
        _write([path for path in outputs if PLACE in str(path)], [row], space)
    found = Timelines(tuple(rows), space)
    _write([path for path in outputs if PLACE not in str(path)], rows, space)
    if summary is not None:
        write_summary(summary, found)
    return found


def _timeline(
    predictor: Predictor,
    item: Item,
    inputs: Inputs,
    turns: SpeakerTurns | None,
    rule: TimelineRule,
    progress: Progress,
) -> Timeline:
    if item.error is not None:
        raise AudioError(item.error)
    work = RecordingTimeline(predictor, item, channel=inputs.channel, speakers=turns, rule=rule)
    return work.run(progress)


def _write(paths: Sequence[Path], rows: Sequence[Timeline], space: LabelSpace) -> None:
    for path in paths:
        write_timelines(path, Timelines(tuple(rows), space))
