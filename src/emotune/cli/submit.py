"""emotune submit: a prediction table as a file for the Odyssey 2024 challenge."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from emotune.challenges.submission import expected_names, task_of, write_submission
from emotune.cli.console import out, warn_all
from emotune.io.tables import check_output
from emotune.schema.predictions import Predictions, table_at


def submit(
    table: Annotated[Path, typer.Argument(metavar="TABLE", help="A prediction table, or a folder that holds one.")],
    expected: Annotated[
        Path,
        typer.Option(
            help="What must be there: a manifest, a CSV with FileName, a .txt list or a folder of recordings."
        ),
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="The .csv to write.")],
    split: Annotated[str | None, typer.Option(help="Of the manifest with --expected; default all of it.")] = None,
    task: Annotated[str | None, typer.Option(help="categories or attributes; default what the table holds.")] = None,
) -> None:
    """Write a challenge's file: FileName,EmoClass or FileName,EmoAct,EmoVal,EmoDom.

    Nothing is written unless every recording has its row.
    """
    check_output(output, inputs=[table_at(table), expected])
    predictions = Predictions.read(table_at(table))
    names = expected_names(expected, split)
    chosen = task_of(predictions, task)
    warn_all(write_submission(output, predictions, names, task=chosen))
    out.print(f"{output}: {len(names)} recordings, {chosen}", markup=False)
