"""Keys of a recipe: type, range, default and meaning, from the fields that check them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import yaml

from emotune.config.recipe import Recipe
from emotune.errors import ConfigError
from emotune.registry import unknown_name_message

_TYPES = {"string": "text", "integer": "whole number", "number": "number", "boolean": "true or false", "object": "keys"}


@dataclass(frozen=True)
class RecipeKey:
    """One key.

    Args:
        path: such as ``train.encoder_lr``.
        allowed: what it may be, in words; empty for a section.
        default: as YAML; empty for a section, and where there is none.
        about: what it means.
    """

    path: str
    allowed: str
    default: str
    about: str

    @property
    def in_words(self) -> str:
        """Range, default and meaning in one line."""
        default = f"default {self.default}" if self.default else ("must be given" if self.allowed else "")
        return "; ".join(part for part in (self.allowed, default, self.about) if part)


@cache
def recipe_keys() -> dict[str, RecipeKey]:
    """All keys by path, in the order of the fields; a section comes before its keys."""
    schema = Recipe.model_json_schema()
    return {key.path: key for key in _keys_in(schema, schema["$defs"], "")}


def keys_under(path: str) -> list[RecipeKey]:
    """A key, or a section with all its keys.

    Raises:
        ConfigError: for an unknown one, with the likely one.
    """
    keys = recipe_keys()
    if path not in keys:
        parent, last = path.rpartition(".")[0], path.rpartition(".")[2]
        same = [name for name in keys if name.rpartition(".")[2] == last]
        if same:
            raise ConfigError(f"Unknown key '{path}', did you mean {' or '.join(same)}?")
        above = parent if parent in keys else ""
        raise ConfigError(
            unknown_name_message("key", path, [name for name in keys if name.rpartition(".")[0] == above])
        )
    return [key for name, key in keys.items() if name == path or name.startswith(f"{path}.")]


def _keys_in(section: Mapping[str, Any], defined: Mapping[str, Any], above: str) -> Iterator[RecipeKey]:
    for name, field in section["properties"].items():
        path = f"{above}{name}"
        about = " ".join(str(field.get("description", "")).split())
        inner = list(_sections(field, defined))
        if "choices" in field:
            yield from _keys_of_choice(path, field, inner, defined, about)
        elif inner:
            yield RecipeKey(path, "", "null" if field.get("default", about) is None else "", about)
            yield from _keys_in(inner[0], defined, f"{path}.")
        else:
            default = _as_yaml(field["default"]) if "default" in field else ""
            yield RecipeKey(path, " or ".join(_allowed(field)), default, about)


def _keys_of_choice(
    path: str, field: Mapping[str, Any], sections: list[Any], defined: Mapping[str, Any], about: str
) -> Iterator[RecipeKey]:
    """A choice of an entry, and the options of all entries, each once, with the names of its entries."""
    names, default = f"one of {', '.join(field['choices'])}", _as_yaml(field["default"])
    yield RecipeKey(path, "" if field["optional"] else names, default, about)
    if field["optional"]:
        yield RecipeKey(f"{path}.name", names, "", f"the kind of {path.rpartition('.')[2]}")
    owners: dict[str, dict[RecipeKey, list[str]]] = {}
    for name, section in zip(field["with_options"], sections, strict=True):
        for key in _keys_in(section, defined, f"{path}."):
            owners.setdefault(key.path, {}).setdefault(key, []).append(name)
    owners.pop(f"{path}.name", None)
    for own in owners.values():
        first = next(iter(own))
        said: list[str] = []
        for key, those in own.items():
            alike = (key.allowed, key.default) == (first.allowed, first.default)
            said.append(f"({', '.join(those)}) {key.about if alike else key.in_words}")
        yield replace(first, about="; ".join(said))


def _sections(field: Mapping[str, Any], defined: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The sections that a field may hold."""
    if "$ref" in field:
        yield defined[field["$ref"].rpartition("/")[2]]
    elif "properties" in field:
        yield field
    for choice in (*field.get("anyOf", ()), *field.get("oneOf", ())):
        yield from _sections(choice, defined)


def _allowed(field: Mapping[str, Any]) -> Iterator[str]:
    """Types and ranges of a field, one text for each kind of value."""
    if "anyOf" in field:
        for choice in field["anyOf"]:
            yield from _allowed(choice)
    elif "enum" in field:
        yield f"one of {', '.join(map(str, field['enum']))}"
    elif field["type"] == "null":
        yield "null"
    elif field["type"] == "array" and "prefixItems" in field:
        yield f"[{', '.join(' or '.join(_allowed(item)) for item in field['prefixItems'])}]"
    elif field["type"] == "array":
        least = f", {field['minItems']} at least" if field.get("minItems") else ""
        yield f"list of {' or '.join(_allowed(field['items']))}{least}"
    else:
        kind = "path" if field.get("format") == "path" else _TYPES[field["type"]]
        yield " ".join([kind, *_range(field)])


def _range(field: Mapping[str, Any]) -> Iterator[str]:
    for limit, word in (
        ("exclusiveMinimum", "above"),
        ("minimum", "from"),
        ("maximum", "to"),
        ("exclusiveMaximum", "to below"),
    ):
        if limit in field:
            yield f"{word} {field[limit]:g}" if abs(field[limit]) < 1e6 else f"{word} {field[limit]}"


def _as_yaml(value: object) -> str:
    return yaml.safe_dump(value, default_flow_style=True, width=10_000).removesuffix("\n").removesuffix("\n...")
