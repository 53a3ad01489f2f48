"""emotune models: what `load` and `emotune predict` find by name."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from emotune.cli.console import out, table
from emotune.errors import page_here
from emotune.io.tables import to_json


def models(
    folder: Annotated[
        Path | None,
        typer.Argument(
            help="Whose models are listed too, such as those of runs; default runs. Or one model by its name or folder:"
            " what it is, and where its card lies."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the list as JSON.")] = False,
) -> None:
    """List the models that `emotune predict` takes by name: licence, size, classes, published figures."""
    from emotune.inference.known_models import encoders_of_recipes, known_models
    from emotune.models.folder import holds_model
    from emotune.models.published.known import PUBLISHED

    if folder is not None and (holds_model(folder) or holds_model(folder / "model") or not folder.is_dir()):
        _one(folder, as_json=as_json)
        return
    found, encoders = known_models(folder or "runs"), encoders_of_recipes()
    if as_json:
        published = [asdict(one) for one in PUBLISHED]
        typer.echo(to_json({"models": [one.to_json() for one in found], "published": published, "encoders": encoders}))
        return
    rows = [
        [
            model.name,
            "-" if model.install else f"{model.megabytes:.1f} MB",
            "-" if model.install else model.licence or "not stated",
            model.install or ", ".join([*model.classes, *model.dimensions]),
        ]
        for model in found
    ]
    table("models", ["name", "size", "licence", "what it predicts"], rows, right=("size",))
    rows = [
        [
            one.name,
            "-" if one.megabytes is None else f"{one.megabytes} MB",
            one.licence,
            ", ".join([*one.classes, *one.dimensions]) or "as its config says",
            one.figures or "-",
        ]
        for one in PUBLISHED
    ]
    out.print("")
    columns = ["name", "size", "licence", "what it predicts", "its authors' figures"]
    table("published by others", columns, rows, right=("size",))
    page = page_here("docs/how-to/checkpoints.md")
    out.print(f"fetched at their first use; what of each was verified: {page}", markup=False)
    out.print("\nmore: a model folder, a run folder, or hf:owner/name[@revision] on the Hugging Face Hub", markup=False)
    out.print("published encoders that recipes train from; they predict nothing before:", markup=False)
    for name, recipes in sorted(encoders.items()):
        out.print(f"  {name} ({', '.join(recipes)})", markup=False)


def _one(name: Path, *, as_json: bool) -> None:
    from emotune.inference.known_models import known_model

    model = known_model(str(name))  # a path is never the name of an installed one
    if as_json:
        typer.echo(to_json(model.to_json()))
        return
    about = {
        "predicts": ", ".join([*model.classes, *model.dimensions]),
        "licence": model.licence or "not stated",
        "size": f"{model.megabytes:.1f} MB",
        "folder": model.folder,
        "card": model.card or "none",
    }
    out.print(model.name, markup=False)
    for what, words in about.items():
        out.print(f"  {what:<9} {words}", markup=False)
