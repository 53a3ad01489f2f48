"""emotune adapt: fit a model to recordings without labels."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from emotune.choices import AdaptedBy
from emotune.cli.console import Model, Words, inputs_named, leave_with, out, show_progress, table

_SHOWN = 20


def adapt(
    model: Model,
    inputs: Annotated[
        list[Path],
        typer.Argument(
            readable=False, help="Recordings such as the model will hear, as for `emotune predict`; no labels are read."
        ),
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder to write.")],
    by: Annotated[
        AdaptedBy, typer.Option(help="Adapt by speaker, by recording, or auto: by speaker where that is known.")
    ] = "auto",
    split: Annotated[str | None, typer.Option(help="Of a manifest or table; default all of it.")] = None,
    column: Annotated[
        list[str], typer.Option(help="Of a table: FIELD=COLUMN for a column of another name, such as speaker=person.")
    ] = [],
    channel: Annotated[
        str, typer.Option(help="mix (the mean), a number (the first is 0), or each: a speaker a channel.")
    ] = "mix",
    speakers: Annotated[
        Path | None, typer.Option(help="An RTTM file of a diarisation: its turns in place of whole recordings.")
    ] = None,
    batch_seconds: Annotated[float, typer.Option(min=1.0, help="Audio-seconds a batch; changes speed only.")] = 40.0,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, ...; default a GPU where there is one.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="CPU processes of one thread, a model in each.")] = None,
) -> None:
    """Adapt a model to recordings without labels: a small folder that `emotune predict` takes as a model.

    It helps where speakers show several emotions; where one seems to be in one mood, nothing moves.
    """
    from emotune.inference.adaptation.adapt import adapt_files

    found = adapt_files(
        model,
        inputs_named(inputs, column, split, channel, speakers),
        output,
        by=by,
        listener=Words(),
        progress=show_progress,
        batch_seconds=batch_seconds,
        device=device,
        workers=workers,
    )
    adaptation = found.model.adaptation
    most = sorted(adaptation.groups.items(), key=lambda pair: (-pair[1].clips, pair[0]))[:_SHOWN]
    more = len(adaptation.groups) - len(most)
    rows = [(name, shift.clips, f"{shift.strength:.2f}") for name, shift in most]
    if adaptation.corpus is not None:
        rows.append(("all together", adaptation.corpus.clips, f"{adaptation.corpus.strength:.2f}"))
    table("Shifts" if not more else f"Shifts ({more} more)", ["of", "clips", "strength"], rows)
    shares = ", ".join(f"{name} {share:.3f}" for name, share in found.model.prior.items())
    out.print(f"estimated shares of the classes: {shares}", markup=False)
    out.print(f"{output}: {adaptation.in_words().removeprefix('adapted: ')}", markup=False)
    failed = found.predictions.failed
    if failed:
        out.print(f"{len(failed)} of {len(found.predictions)} clips with an error were left out", markup=False)
    leave_with((row.error for row in failed[:_SHOWN]), len(failed))
