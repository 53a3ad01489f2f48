"""The contract of a tracker: a run begins or goes on, its figures come step by step, and it ends."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emotune.runtime.listener import Listener, Row


@dataclass(frozen=True)
class TrackedRun:
    """A run as trackers know it.

    Args:
        name: for people.
        folder: of the run; a tracker may keep files of its own in it.
        settings: of the recipe, flat, such as ``train.epochs``.
        key: what the tracker called it before an interruption; None for a run that begins.
    """

    name: str
    folder: Path
    settings: Mapping[str, Any]
    key: str | None = None


class Tracker(Listener, ABC):
    """Keeps loss, gradient norm and learning rate of each step, and the development figures of each epoch.

    After an interruption steps since the last checkpoint come again, with the same figures.

    Args:
        run: that begins, or goes on.
    """

    @abstractmethod
    def __init__(self, run: TrackedRun) -> None: ...

    @property
    @abstractmethod
    def key(self) -> str:
        """Name under which the tracker finds the run again."""

    @abstractmethod
    def log(self, figures: Mapping[str, float], step: int) -> None:
        """Keeps figures of an optimiser step."""

    @abstractmethod
    def close(self, *, finished: bool) -> None:
        """Writes what is not written yet; the run is over, or was interrupted."""

    def step(self, done: int, total: int, figures: Mapping[str, float]) -> None:
        """Keeps the figures of an optimiser step."""
        self.log(figures, done)

    def epoch(self, rows: Sequence[Row]) -> None:
        """Keeps the development figures, those that are defined, at the epoch's last step."""
        row = rows[-1]
        named = {name: value for name, value in row.items() if name.startswith("development_")}
        known = {name.replace("_", "/", 1): float(value) for name, value in named.items() if _is_known(value)}
        self.log({**known, "epoch": float(row["epoch"])}, int(row["step"]))


def _is_known(value: object) -> bool:
    return isinstance(value, int | float) and not math.isnan(value)
