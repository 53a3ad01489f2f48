"""Files that a server is asked about, written as if a model here had answered."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from emotune.client.synchronous import Client
from emotune.errors import ServerError
from emotune.inference.inputs import Inputs
from emotune.inference.items import Item
from emotune.inference.predict_files import PredictedFiles
from emotune.inference.timeline.files import checked_items, written_timelines
from emotune.inference.timeline.recording import TimelineRule
from emotune.io.tables import check_output
from emotune.runtime.listener import Listener
from emotune.runtime.progress import Progress, silent
from emotune.timelines import Timeline, Timelines


def predict_files(
    client: Client,
    inputs: Inputs,
    output: Path | None = None,
    *,
    spreadsheet_safe: bool = False,
    listener: Listener | None = None,
    progress: Progress = silent,
) -> PredictedFiles:
    """Predicts files as ``inference.predict_files`` does.

    Raises:
        EmotuneError: for inputs, a server or an output that cannot be used.
    """
    listener = listener or Listener()
    inputs.say_columns(listener)
    if output is not None:
        check_output(output, inputs=inputs.paths, spreadsheet_safe=spreadsheet_safe)
    predictions = client.predict_items(inputs.listed(listener), progress=progress)
    if output is not None:
        predictions.write(output, spreadsheet_safe=spreadsheet_safe)
    return PredictedFiles.of(predictions)


def timeline_files(
    client: Client,
    inputs: Inputs,
    outputs: Sequence[Path] = (),
    *,
    summary: Path | None = None,
    rule: TimelineRule | None = None,
    listener: Listener | None = None,
    progress: Progress = silent,
) -> Timelines:
    """Makes the timelines of files as ``inference.timeline.files`` does.

    Raises:
        EmotuneError: for inputs, a server or an output that cannot be used.
    """
    items = checked_items(inputs, outputs, summary=summary, pictures=(), listener=listener or Listener())
    space = client.label_space

    def timeline(item: Item) -> Timeline:
        try:
            return client.timeline_item(
                item, channel=inputs.channel, rule=rule, progress=progress if len(items) == 1 else silent
            )
        except ServerError as error:
            return Timeline(item.utterance_id, space, error=str(error))

    return written_timelines(
        items if len(items) == 1 else progress(items, total=len(items), title="timelines"),
        timeline,
        space,
        outputs,
        summary=summary,
    )
