"""Trackers of a training run: begun or continued, and ended with it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from emotune.config.recipe import Recipe
from emotune.io.tables import read_json, to_json, write_text
from emotune.schema.run_folder import RunFolder
from emotune.trackers import TRACKERS
from emotune.trackers.tracker import TrackedRun, Tracker

_KEYS = "trackers.json"


def refuse_absent_trackers(recipe: Recipe) -> None:
    """Tells of a tracker that is not installed, before an encoder is loaded.

    Raises:
        ConfigError: naming it and its cure.
    """
    for name in recipe.train.trackers:
        _ = TRACKERS[name]


@contextmanager
def tracked(run: RunFolder, recipe: Recipe) -> Iterator[list[Tracker]]:
    """Trackers of ``train.trackers`` for a run, which goes on under its old names where it was interrupted.

    Raises:
        ConfigError: for a tracker whose package is not installed.
    """
    path = run.path / _KEYS
    keys: dict[str, str] = dict(read_json(path, "The names of trackers")) if path.exists() else {}
    settings = dict(_flat(recipe.model_dump(mode="json")))
    trackers: list[Tracker] = []
    finished = False
    try:
        for name in recipe.train.trackers:
            begun = TRACKERS[name](TrackedRun(run.path.name, run.path, settings, keys.get(name)))
            trackers.append(begun)
            keys[name] = begun.key
        if trackers:
            write_text(path, to_json(keys) + "\n")
        yield trackers
        finished = True
    finally:
        for tracker in trackers:
            tracker.close(finished=finished)


def _flat(settings: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Settings by the path of their key; lists as they are."""
    for name, value in settings.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{above}{name}.")
        else:
            yield f"{above}{name}", value
