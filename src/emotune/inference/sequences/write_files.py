"""Sequences of files, folders and tables, written to one table: a column for each task."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from emotune.inference.inputs import Inputs
from emotune.inference.sequences.writer import Written, load
from emotune.io.tables import check_output, own_columns, write_rows
from emotune.runtime.listener import Listener
from emotune.runtime.progress import Progress, silent

SCHEMA = "emotune-answers/1"


def write_files(
    model: str | Path,
    inputs: Inputs,
    output: Path | None = None,
    *,
    tasks: Sequence[str] | None = None,
    adapters: Sequence[Path] | None = None,
    device: str | None = None,
    batch_seconds: float = 40.0,
    spreadsheet_safe: bool = False,
    listener: Listener | None = None,
    progress: Progress = silent,
) -> list[Written]:
    """Lets a sequence model write its answers to files; a bad recording is a row with its error.

    Args:
        model: a run or model folder of a sequence model, or an encoder-decoder.
        inputs: to be written of.
        output: table with the columns utterance_id, one a task, error, and the user's own; none when None.
        tasks: which ones; None = all.
        adapters: files of adapters in place of the model's own.
        device: where to run.
        batch_seconds: longest padded batch.
        spreadsheet_safe: see ``emotune.io.tables.write_rows``.
        listener: told of the columns taken and of files passed over.
        progress: shows how far the work is.

    Raises:
        EmotuneError: for inputs, a model or an output that cannot be used.
    """
    listener = listener or Listener()
    inputs.say_columns(listener)
    if output is not None:
        check_output(output, inputs=inputs.paths, spreadsheet_safe=spreadsheet_safe)
    items = inputs.listed(listener)
    writer = load(model, adapters=adapters, device=device, batch_seconds=batch_seconds)
    wanted = writer.tasks if tasks is None else list(dict.fromkeys(tasks))
    written = writer.write_items(items, tasks=wanted, progress=progress)
    if output is not None:
        columns = ["utterance_id", *wanted, "error"]
        rows = [
            {"utterance_id": row.utterance_id, **row.answers, "error": row.error} | own_columns(item.extra, columns)
            for row, item in zip(written, items, strict=True)
        ]
        further = dict.fromkeys(name for row in rows for name in row if name not in columns)
        metadata = {"schema": SCHEMA, "tasks": wanted}
        write_rows(output, [*columns, *further], rows, metadata, spreadsheet_safe=spreadsheet_safe)
    return written
