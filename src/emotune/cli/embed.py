"""emotune embed: vectors of clips or of their frames, for what others build on them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from emotune.cli.console import Model, Words, leave_with, out, pairs, show_progress


def embed(
    model: Model,
    inputs: Annotated[
        list[Path],
        typer.Argument(
            readable=False, help="Recordings, folders, a manifest, a table with a file column, or a .txt list of paths."
        ),
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="To write: .npy, .parquet or .h5 (extra hdf5).")],
    level: Annotated[
        Literal["clip", "frame"], typer.Option(help="clip: a vector a recording; frame: one a frame of the encoder.")
    ] = "clip",
    layer: Annotated[
        str | None,
        typer.Option(
            help="A layer's number (0: input of the first), mix (the model's own), or pooled (what its heads take);"
            " default pooled for clips, for frames mix or the last layer."
        ),
    ] = None,
    split: Annotated[str | None, typer.Option(help="Of a manifest or table; default all of it.")] = None,
    column: Annotated[
        list[str], typer.Option(help="Of a table: FIELD=COLUMN for a column of another name; FIELD=none without one.")
    ] = [],
    channel: Annotated[
        str, typer.Option(help="mix (the mean), a number (the first is 0), or each: one for every channel.")
    ] = "mix",
    batch_seconds: Annotated[float, typer.Option(min=1.0, help="Audio-seconds a batch; changes speed only.")] = 40.0,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, ...; default a GPU where there is one.")] = None,
) -> None:
    """Embed recordings with a model or a bare encoder; layer and frame rate stand in the metadata.

    A recording that cannot be used is named, the others are written, and the exit code is then 1.
    """
    from emotune.audio.channels import channels_named
    from emotune.inference.embeddings.embed_files import embed_files
    from emotune.inference.inputs import Inputs

    found = embed_files(
        model,
        Inputs(inputs, pairs(column, "--column", "FIELD=COLUMN"), split, channels_named(channel)),
        output,
        level=level,
        layer=int(layer) if layer is not None and layer.isdecimal() else layer,
        device=device,
        batch_seconds=batch_seconds,
        listener=Words(),
        progress=show_progress,
    )
    out.print(
        f"{output}: {found.clips} recordings, {found.rows} vectors of {found.features} features,"
        f" {len(found.errors)} with an error",
        markup=False,
    )
    leave_with(found.errors[:20], len(found.errors))
