"""emotune gender: what a gender predictor says of every utterance of a manifest."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from emotune.cli.console import SpreadsheetSafe, err, out, show_progress


def gender(
    manifest_path: Annotated[Path, typer.Argument(metavar="MANIFEST")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The manifest to write: .csv, .jsonl or .parquet.")],
    model: Annotated[str, typer.Option(help="A model that was trained with data.target=gender.")],
    batch_seconds: Annotated[float, typer.Option(min=1.0, help="Audio-seconds a batch; changes speed only.")] = 40.0,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, ...; default a GPU where there is one.")] = None,
    spreadsheet_safe: SpreadsheetSafe = False,
) -> None:
    """Fill the column gender_predicted, for models that take gender as a condition."""
    from emotune.inference.fill_gender import fill_gender

    found = fill_gender(
        manifest_path,
        output,
        model,
        device=device,
        batch_seconds=batch_seconds,
        spreadsheet_safe=spreadsheet_safe,
        progress=show_progress,
    )
    rows, right, of = len(found.manifest), found.right, found.compared
    agrees = f", {right} of {of} as the corpus says ({right / of:.3f})" if of else ""
    out.print(f"{output}: {rows - len(found.errors)} of {rows} utterances predicted{agrees}", markup=False)
    for error in found.errors[:20]:
        err.print(f"error: {error}", markup=False)
    if found.errors:
        raise typer.Exit(1)
