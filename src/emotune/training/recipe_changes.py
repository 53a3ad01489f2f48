"""Differences between two recipes, in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from emotune.config.recipe import Recipe
from emotune.config.sequences import SequenceRecipe
from emotune.section import Section

_SOURCES = ("data.manifest", "data.root")
_TOLD = ("description", "notice", "train.trackers")
ENCODER_KEYS = ("name", "checkpoint", "revision", "config", "layers", "final_norm")
"""Keys of ``model.backbone`` that a start brings."""
_CACHES = ("data.cache", "data.cache_gb", "probe.cache", "task.cache")


def changes_between(
    before: Recipe, after: Recipe, *, but: Sequence[str] = ("name", "description", "seed", "notice")
) -> list[str]:
    """Lists the differences between two recipes, one text a key, such as ``model.pooling: mean → std``.

    A start brings its encoder: where starts differ, what only one of the two recipes says of an encoder is none beside.
    """
    first, second = before.model_dump(mode="json"), after.model_dump(mode="json")
    if before.model.start != after.model.start:
        own, other = first["model"]["backbone"], second["model"]["backbone"]
        but = (*but, *(f"model.backbone.{key}" for key in ENCODER_KEYS if not (own.get(key) and other.get(key))))
    return _in_words(first, second, but)


def changes_of_work(before: Recipe | SequenceRecipe, after: Recipe | SequenceRecipe) -> list[str]:
    """Finds the keys that differ between the recipe of a run and the one it is to go on with.

    Another spelling of the same folder is no difference, nor are words, or places of data and caches: when it goes on,
    its data are known by their fingerprint.
    """
    return _resolved_changes(before, after, but=(*_TOLD, *_SOURCES, *_CACHES))


def changes_of_finished_work(before: Recipe, after: Recipe) -> list[str]:
    """Lists where the recipe of a finished run differs from the one it is to stand for.

    As ``changes_of_work``, but the places of data count: nobody reads them again.
    """
    return _resolved_changes(before, after, but=(*_TOLD, *_CACHES))


def _resolved_changes(before: Section, after: Section, *, but: Sequence[str]) -> list[str]:
    first, second = (_resolved(recipe.model_dump()) for recipe in (before, after))
    return _in_words(first, second, but)


def _resolved(value: Any) -> Any:
    """The same, with files and folders spelled as they are from the root on, without links."""
    if isinstance(value, dict):
        return {key: _resolved(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_resolved(item) for item in value]
    if isinstance(value, Path) or (isinstance(value, str) and "/" in value and Path(value).exists()):
        return str(Path(value).resolve())
    return value


def _in_words(first: Mapping[str, object], second: Mapping[str, object], but: Sequence[str]) -> list[str]:
    return [f"{key}: {_shown(old)} → {_shown(new)}" for key, old, new in _differing(first, second) if key not in but]


def _differing(
    first: Mapping[str, object], second: Mapping[str, object], above: str = ""
) -> Iterator[tuple[str, object, object]]:
    """Keys with both values; a section that only one of the two has is one value."""
    for key in {**first, **second}:
        old, new = first.get(key), second.get(key)
        if isinstance(old, dict) and isinstance(new, dict):
            yield from _differing(old, new, f"{above}{key}.")
        elif old != new:
            yield f"{above}{key}", old, new


def _shown(value: object) -> str:
    """A value for people; of a path its last part, so that a page names no folder of anybody's."""
    if value is None or value in ({}, []):
        return "none"
    if isinstance(value, dict):
        return ", ".join(f"{key} {_shown(item)}" for key, item in value.items() if item is not None)
    if isinstance(value, list):
        return ", ".join(_shown(item) for item in value)
    if isinstance(value, str) and Path(value).is_absolute():
        *_, above, step, seed = ("", "", *Path(value).parts)
        return f"{step}/{seed}" if above == "runs" else seed
    return str(value).lower() if isinstance(value, bool) else str(value)
