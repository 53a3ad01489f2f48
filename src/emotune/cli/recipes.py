"""emotune recipes, explain and protocols: what comes with the toolkit, and what a recipe may say."""

from __future__ import annotations

from typing import Annotated

import typer

from emotune.cli.console import out
from emotune.protocols import protocol_names
from emotune.recipes import first_sentence, recipe_folder, recipe_names
from emotune.runtime.extras import needs

app = typer.Typer(help="List the recipes that come with emotune, or show one.", rich_markup_mode=None)


@app.callback(invoke_without_command=True)
def recipes(context: typer.Context) -> None:
    """List the recipes that come with emotune; `emotune recipes show NAME` shows one."""
    if context.invoked_subcommand is None:
        for name in recipe_names():
            out.print(f"{name}: {first_sentence(recipe_folder(), name)}", markup=False)


@app.command()
def show(
    name: Annotated[str, typer.Argument(metavar="RECIPE", help="A recipe file, or a name from `emotune recipes`.")],
) -> None:
    """Shows a recipe's keys, each with its type and range; keys that it does not set have their defaults."""
    with needs("train"):
        from emotune.config.annotated import annotated_recipe
    for line in annotated_recipe(name):
        out.print(line, markup=False)
    out.print("# all other keys have their defaults: emotune explain", markup=False)


def explain(
    paths: Annotated[
        list[str] | None, typer.Argument(metavar="KEY...", help="Such as train.encoder_lr, or a section; default all.")
    ] = None,
) -> None:
    """Explains keys of a recipe: type and range, default, meaning."""
    with needs("train"):
        from emotune.config.keys import keys_under, recipe_keys
    found = [key for path in paths for key in keys_under(path)] if paths else recipe_keys().values()
    for key in found:
        out.print(f"{key.path}: {key.in_words}", markup=False)


def protocols() -> None:
    """List the evaluation protocols that come with emotune, for protocol=NAME."""
    for name in protocol_names():
        out.print(name, markup=False)
