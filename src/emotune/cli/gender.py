"""emotune gender: what a gender predictor says of every utterance of a manifest."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from emotune.cli.console import SpreadsheetSafe, err, out, show_progress, with_extra
from emotune.conditions.gender import GenderPredictor, gender_accuracy
from emotune.io.tables import check_output
from emotune.schema.manifest import Manifest


def gender(
    manifest_path: Annotated[Path, typer.Argument(metavar="MANIFEST")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The manifest to write: .csv, .jsonl or .parquet.")],
    model: Annotated[str, typer.Option(help="A model that was trained with data.target=gender.")],
    batch_seconds: Annotated[float, typer.Option(min=1.0, help="Audio-seconds a batch; changes speed only.")] = 40.0,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, ...; default a GPU where there is one.")] = None,
    spreadsheet_safe: SpreadsheetSafe = False,
) -> None:
    """Fill the column gender_predicted, for models that take gender as a condition."""
    check_output(output, inputs=[manifest_path], spreadsheet_safe=spreadsheet_safe)
    manifest = Manifest.read(manifest_path)
    load = with_extra("emotune.inference").load
    predictor = GenderPredictor(load(model, device=device, batch_seconds=batch_seconds))
    manifest, errors = predictor.fill_and_tell(manifest, progress=show_progress)
    manifest.write(output, spreadsheet_safe=spreadsheet_safe)
    right, of = gender_accuracy(manifest)
    agrees = f", {right} of {of} as the corpus says ({right / of:.3f})" if of else ""
    out.print(f"{output}: {len(manifest) - len(errors)} of {len(manifest)} utterances predicted{agrees}", markup=False)
    for error in errors[:20]:
        err.print(f"error: {error}", markup=False)
    if errors:
        raise typer.Exit(1)
