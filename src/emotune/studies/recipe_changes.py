"""How two recipes differ, in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from emotune.config import Recipe


def changes_between(
    before: Recipe, after: Recipe, *, but: Sequence[str] = ("name", "description", "seed", "notice")
) -> list[str]:
    """What differs between two recipes, one text a key, such as ``model.pooling: mean → std``."""
    first, second = before.model_dump(mode="json"), after.model_dump(mode="json")
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
