"""Recipes as they are read: YAML, the recipe that one builds on, and ``key=value`` overrides."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import ValidationError

from emotune.config.faults import faults, shortened
from emotune.config.model import encoder_name
from emotune.config.recipe import Recipe
from emotune.errors import ConfigError
from emotune.recipes import recipe_folder, recipe_names
from emotune.registry import unknown_name_message
from emotune.section import Section

SectionType = TypeVar("SectionType", bound=Section)
_PLACES = (
    *(f"data.{key}." for key in ("manifest", "corpus", "root", "labels", "cache", "cache_gb")),
    *("name.", "notice.", "seed.", "protocol.", "probe.cache.", "task.cache.", "train.trackers."),
)
"""overrides that are no part of what a recipe is: places, and what is recorded beside its description"""
_FOLDERS = re.compile(r"(?<![\w.:-])~?/(?:[^\s,\]}'\"]*/)?")
"""of a path from the root on, which a report need not tell"""
TOO_DEEP = "its lists or sections lie in each other hundreds of levels deep; a recipe has five at most"


def load_recipe(name: str | Path, overrides: Sequence[str] = ()) -> Recipe:
    """Reads a recipe by path or by the name of one that comes with emotune, with ``key.path=value`` overrides.

    Of a key given twice the last value counts. A file with ``base``, the name or file of another recipe, has of that
    one all that it does not give itself, but for name and description. Overrides are added to the description, and
    stand in its place where they change the model; another encoder than the recipe's own is added to the name. A name
    or description that is given stays.

    Raises:
        ConfigError: with every fault found, each with its path and, for a misspelt key, the likely one.
    """
    path = bundled_or_file("recipe", name, recipe_folder(), recipe_names())
    data = _with_base(path, ())
    if "tasks" in data:
        raise ConfigError(f"{path} is a recipe of sequences: it goes with `emotune train`, and not with this.")
    own = _encoder_in(data)
    recipe = section_of(Recipe, path, data, overrides)
    given, used = [parse_override(override)[0] for override in overrides], recipe.model.encoder
    if own not in (None, used) and "name" not in given:
        recipe = recipe.model_copy(update={"name": f"{recipe.name}-on-{used}"})
    if "description" not in given:
        recipe = recipe.model_copy(update={"description": _described(recipe, overrides)})
    return recipe


def _described(recipe: Recipe, overrides: Sequence[str]) -> str:
    """The description and what was changed; the changes alone, where it would tell of another model than this."""
    changes = [override for override in overrides if not f"{parse_override(override)[0]}.".startswith(_PLACES)]
    if not changes:
        return recipe.description
    said = "" if any(override.startswith("model") for override in changes) else recipe.description.strip()
    return f"{said or f'{recipe.name}.'} Changed: {_FOLDERS.sub('', ', '.join(changes))}."


def recipe_content(name: str | Path) -> dict[str, Any]:
    """Reads a recipe and its base, unchecked: one that comes with emotune still lacks its data.

    Raises:
        ConfigError: when there is no such recipe, or it is no YAML.
    """
    return _with_base(bundled_or_file("recipe", name, recipe_folder(), recipe_names()), ())


def _encoder_in(data: Mapping[str, Any]) -> str | None:
    """The encoder that a recipe's file names; None where it leaves that open."""
    model = data.get("model")
    backbone = model.get("backbone") if isinstance(model, dict) else None
    if isinstance(model, dict) and model.get("start"):
        return encoder_name("", str(model["start"]))
    if not isinstance(backbone, dict) or not (backbone.get("checkpoint") or backbone.get("config")):
        return None
    return encoder_name(str(backbone.get("name")), backbone.get("checkpoint") and str(backbone["checkpoint"]))


def _with_base(path: Path, above: tuple[Path, ...]) -> dict[str, Any]:
    """Lays the keys of a recipe's file over those of its base."""
    here = path.resolve()
    if here in above:
        way = " -> ".join(str(file) for file in (*above[above.index(here) :], here))
        raise ConfigError(f"base leads back to itself: {way}. Take one base out.")
    own = _read_yaml(path)
    if "base" not in own:
        return own
    name = own.pop("base")
    if not isinstance(name, str) or not name:
        raise ConfigError(f"{path}: base is {shortened(name)}, expected the name or file of a recipe.")
    beside = path.parent / Path(name).expanduser()
    try:
        found = beside if beside.is_file() else bundled_or_file("recipe", name, recipe_folder(), recipe_names())
    except ConfigError as error:
        raise ConfigError(f"{path}: base: {error} A file is looked for beside this one.") from error
    inherited = _with_base(found, (*above, here))
    return merged({key: value for key, value in inherited.items() if key not in ("name", "description")}, own)


def merged(base: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Sections merged key by key; any other value takes the place of the base's."""
    result = dict(base)
    for key, value in own.items():
        under = result.get(key)
        result[key] = merged(under, value) if isinstance(under, dict) and isinstance(value, dict) else value
    return result


def read_section(section: type[SectionType], path: Path, overrides: Sequence[str] = ()) -> SectionType:
    """Reads a YAML file as a section, with ``key.path=value`` overrides.

    Raises:
        ConfigError: with every fault found.
    """
    return section_of(section, path, _read_yaml(path), overrides)


def section_of(section: type[SectionType], path: Path, data: dict[str, Any], overrides: Sequence[str]) -> SectionType:
    """The content of a YAML file as a section, with ``key.path=value`` overrides.

    Raises:
        ConfigError: with every fault found.
    """
    data = with_overrides(data, overrides)
    try:
        return section.model_validate(data)
    except ValidationError as error:
        found = faults(error, section, data)
        blamed = [override for override in overrides if any(_is_about(fault, override) for fault in found)]
        source = f"{path} with {' '.join(map(shortened, blamed))}" if blamed else str(path)
        raise ConfigError(
            f"{source} cannot be used, {len(found)} fault(s):\n" + "\n".join(f"  {fault}" for fault in found)
        ) from error


def _is_about(fault: str, override: str) -> bool:
    """Tells whether a fault, which begins with its path, lies at the key of an override, under it or above it."""
    place, key = f"{fault.partition(':')[0]}.", f"{parse_override(override)[0]}."
    return place.startswith(key) or key.startswith(place)


def dump_recipe(recipe: Section) -> str:
    """The resolved recipe as YAML, which reads back to the same recipe."""
    return yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def bundled_or_file(kind: str, name: str | Path, folder: Path, known: Collection[str]) -> Path:
    """The YAML file that a user names: one of their own, or one of those that come with emotune, in ``folder``.

    Raises:
        ConfigError: for anything else, with the likely name.
    """
    path = Path(name)
    if path.is_file():
        return path
    if path.is_dir():
        raise ConfigError(f"{name} is a folder, expected a {kind} file.")
    bundled = str(name).removeprefix(f"{kind}s/").removesuffix(".yaml")
    if bundled in known:
        return folder / f"{bundled}.yaml"
    raise ConfigError(f"There is no file {name}. " + unknown_name_message(kind, bundled, known))


class _StrictLoader(yaml.SafeLoader):
    """YAML that refuses a key given twice, which PyYAML resolves silently."""


def _unique_keys(loader: _StrictLoader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen: set[str] = set()
    for key_node, _ in node.value:
        key = str(loader.construct_object(key_node))
        if key in seen:
            raise yaml.constructor.ConstructorError(None, None, f"key '{key}' appears twice", key_node.start_mark)
        seen.add(key)
    return loader.construct_mapping(node, deep=True)


_StrictLoader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _unique_keys)


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        data = yaml.load(path.read_text(encoding="utf-8"), Loader=_StrictLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        raise ConfigError(f"{path}{where}: not valid YAML ({getattr(error, 'problem', None) or error}).") from error
    except RecursionError as error:
        raise ConfigError(f"{path} cannot be read: {TOO_DEEP}.") from error
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise ConfigError(f"{path} cannot be read: {error}.") from error
    if data is None:
        raise ConfigError(f"{path} is empty.")
    if not isinstance(data, dict):
        raise ConfigError(
            f"{path} must hold keys with values (of a recipe: data, model, train, ...; of a study: steps, seeds, ...),"
            f" not a {type(data).__name__}."
        )
    return data


def with_overrides(data: Mapping[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """A recipe's content with ``key.path=value`` overrides; they are parsed, and not checked.

    Raises:
        ConfigError: for an override that is none.
    """
    changed = dict(data)
    for override in overrides:
        _apply(changed, override)
    return changed


def parse_override(override: str) -> tuple[str, Any]:
    """``key.path=value`` to the key and the value, which is YAML.

    Raises:
        ConfigError: for anything else.
    """
    key, equals, text = override.partition("=")
    if not equals or not all(key.split(".")):
        raise ConfigError(f"Override '{override}': expected key.path=value, such as train.epochs=3.")
    try:
        return key, yaml.load(text, Loader=_StrictLoader)
    except RecursionError as error:
        raise ConfigError(f"Override {shortened(override)}: {TOO_DEEP}.") from error
    except (yaml.YAMLError, ValueError) as error:  # ValueError: a date that does not exist
        raise ConfigError(f"Override '{override}': the value is not valid YAML ({_first_line(error)}).") from error


def _apply(data: dict[str, Any], override: str) -> None:
    key, value = parse_override(override)
    *sections, last = key.split(".")
    place = data
    for section in sections:
        inner = place.get(section)
        if inner is not None and not isinstance(inner, dict):
            raise ConfigError(f"Override '{override}': '{section}' is not a section.")
        place[section] = inner = dict(inner or {})
        place = inner
    place[last] = value


def _first_line(error: Exception) -> str:
    return (getattr(error, "problem", None) or str(error)).splitlines()[0]
