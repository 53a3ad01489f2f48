"""emotune recipes, explain and protocols: what comes with the toolkit, and what a recipe may say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

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
        from emotune.config.keys import recipe_keys
        from emotune.config.reading import recipe_content
    for line in _shown(recipe_content(name), recipe_keys(), "", ""):
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


def _shown(content: Mapping[str, Any], keys: Mapping[str, Any], above: str, indent: str) -> Iterator[str]:
    """The lines of a recipe as YAML, each key with a comment on what it may be."""
    import yaml

    for name, value in content.items():
        path = f"{above}{name}"
        key = keys.get(path)
        if isinstance(value, Mapping) and any(f"{path}.{inner}" in keys for inner in value):
            yield f"{indent}{name}:"
            yield from _shown(value, keys, f"{path}.", f"{indent}  ")
            continue
        given = {name: value.strip() if isinstance(value, str) else value}
        plain = yaml.safe_dump(given, default_flow_style=True, width=10_000, allow_unicode=True).strip()[1:-1]
        if key is None or not key.allowed or path in ("name", "description"):
            yield f"{indent}{plain}"
        else:
            yield f"{indent}{plain}  # {key.in_words}"
