"""emotune new: a file to start from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from emotune.cli.console import out
from emotune.runtime.extras import needs

app = typer.Typer(help="Write a file to start from.", no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def new() -> None:
    """Write a file to start from."""


@app.command()
def recipe(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="The recipe to write, such as calls.yaml.")],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(metavar="KEY=VALUE", help="Keys to set, such as data.manifest=calls-split.csv."),
    ] = None,
    start: Annotated[
        str, typer.Option("--from", help="A recipe file, or a name from `emotune recipes`.")
    ] = "general/wavlm_base_plus",
) -> None:
    """Write a recipe of your own, each key with its type and range; a file that is there already is never replaced."""
    with needs("train"):
        from emotune.config.annotated import new_recipe
    new_recipe(path, start, overrides or [])
    out.print(f"{path}: begins as {start} does; then: emotune train {path} --dry-run", markup=False)
