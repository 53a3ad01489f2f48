"""emotune import: models and encoders of others into folders that emotune works with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from emotune.cli.console import out
from emotune.runtime.extras import needs

app = typer.Typer(
    no_args_is_help=True, help="Bring models and encoders of others into folders that emotune works with."
)

Output = Annotated[Path, typer.Option("-o", "--output", help="Folder to make; it must not be there yet.")]


@app.command("encoder")
def encoder(
    file: Annotated[Path, typer.Argument(help="A .pt or .ckpt of unilm, fairseq, S3PRL or SpeechBrain.")],
    output: Output,
    type_: Annotated[
        str | None, typer.Option("--type", help="wavlm, hubert or wav2vec2; default by the names of the weights.")
    ] = None,
) -> None:
    """Convert an encoder's original file to a folder, for `model.backbone.checkpoint` of a recipe.

    Nothing in the file is executed: settings that are pickled in it are read with stand-ins, other objects are refused.
    """
    with needs("train"):
        from emotune.models.originals.import_encoder import import_encoder

    made = import_encoder(file, output, model_type=type_)
    out.print(f"{made.folder}: {made.model_type}, {made.parameters:,} parameters, from {made.layout}", markup=False)
    said = {True: "normalised", False: "not normalised", None: "normalised or not: the file does not say"}
    out.print(f"clips: {said[made.normalize]}", markup=False)
    if made.left_out:
        out.print(f"left out, no part of the encoder: {', '.join(made.left_out)}", markup=False)


@app.command("model")
def model(
    name: Annotated[str, typer.Argument(help="A folder of a published emotion model, or hf:owner/name[@revision].")],
    output: Output,
) -> None:
    """Write a published emotion model as a model folder of emotune, to train on from it (`model.start`).

    For predictions alone that is not needed: `emotune predict` takes such a model as it is.
    """
    with needs("train"):
        from emotune.models.published.import_model import import_model

    made = import_model(name, output)
    answers = ", ".join([*made.label_space.classes, *made.label_space.dimensions])
    out.print(f"{made.folder}: {made.source}, licence {made.licence or 'not stated'}, answers {answers}", markup=False)
