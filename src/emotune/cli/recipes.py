"""emotune recipes and emotune protocols: what comes with the toolkit."""

from __future__ import annotations

from emotune.cli.console import out
from emotune.protocols import protocol_names
from emotune.recipes import first_sentence, recipe_folder, recipe_names


def recipes() -> None:
    """List the recipes that come with emotune."""
    for name in recipe_names():
        out.print(f"{name}: {first_sentence(recipe_folder(), name)}", markup=False)


def protocols() -> None:
    """List the evaluation protocols that come with emotune, for protocol=NAME."""
    for name in protocol_names():
        out.print(name, markup=False)
