"""emotune submit: a prediction table as a file for the Odyssey 2024 challenge."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from emotune.cli.console import out, warn_all


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
    from emotune.challenges.submission import submit_table

    recordings, chosen, notes = submit_table(table, expected, output, split=split, task=task)
    warn_all(notes)
    out.print(f"{output}: {recordings} recordings, {chosen}", markup=False)
