"""A recipe as it is written, each key with a comment on what it may be."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from emotune.config.keys import RecipeKey, keys_under, recipe_keys
from emotune.config.reading import parse_override, recipe_content, with_overrides
from emotune.errors import ConfigError
from emotune.io.tables import write_text


def annotated_recipe(name: str | Path) -> list[str]:
    """The lines of a recipe and of its base as YAML; keys that it does not set have their defaults.

    Raises:
        ConfigError: when there is no such recipe, or it is no YAML.
    """
    return list(_lines(recipe_content(name), recipe_keys(), "", ""))


def new_recipe(path: Path, start: str | Path, overrides: Sequence[str] = ()) -> None:
    """Writes a recipe that begins as another one does, under the name of its file.

    Args:
        path: where to write.
        start: a recipe file, or the name of one that comes with emotune.
        overrides: ``key.path=value``, as for ``load_recipe``.

    Raises:
        ConfigError: when there is no such recipe, an override names no key, or the file is there already.
    """
    if path.suffix not in (".yaml", ".yml"):
        raise ConfigError(f"{path}: a recipe is a YAML file, expected a name that ends with .yaml.")
    if path.exists():
        raise ConfigError(f"{path} is there already: name another file, or take it away.")
    own = {"name": path.stem, "description": f"begins as {start} does"}
    content = {**recipe_content(start), **own}
    for override in overrides:
        keys_under(parse_override(override)[0])
    content = with_overrides(content, overrides)
    write_text(path, "\n".join(_lines(content, recipe_keys(), "", "")) + "\n")


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
