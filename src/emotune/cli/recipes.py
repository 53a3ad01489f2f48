"""emotune recipes: what comes with the toolkit."""

from __future__ import annotations

from emotune.cli.console import out
from emotune.recipes import recipe_names


def recipes() -> None:
    """List the recipes that come with emotune."""
    for name in recipe_names():
        out.print(name, markup=False)
