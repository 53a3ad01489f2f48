"""A recipe as it is written, each key with a comment on what it may be."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from emotune.config.keys import RecipeKey, recipe_keys
from emotune.config.reading import recipe_content


def annotated_recipe(name: str | Path) -> list[str]:
    """The lines of a recipe and of its base as YAML; keys that it does not set have their defaults.

    Raises:
        ConfigError: when there is no such recipe, or it is no YAML.
    """
    return list(_lines(recipe_content(name), recipe_keys(), "", ""))


def _lines(content: Mapping[str, Any], keys: Mapping[str, RecipeKey], above: str, indent: str) -> Iterator[str]:
    for name, value in content.items():
        path = f"{above}{name}"
        key = keys.get(path)
        if isinstance(value, Mapping) and any(f"{path}.{inner}" in keys for inner in value):
            yield f"{indent}{name}:"
            yield from _lines(value, keys, f"{path}.", f"{indent}  ")
            continue
        given = {name: value.strip() if isinstance(value, str) else value}
        plain = yaml.safe_dump(given, default_flow_style=True, width=10_000, allow_unicode=True).strip()[1:-1]
        if key is None or not key.allowed or path in ("name", "description"):
            yield f"{indent}{plain}"
        else:
            yield f"{indent}{plain}  # {key.in_words}"
