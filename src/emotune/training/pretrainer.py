"""Contract of a task that learns without labels, as ``emotune.config.tasks.TASKS`` names it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from emotune.config.recipe import Recipe
from emotune.runtime.listener import Listener
from emotune.runtime.progress import Progress, silent


class PreTrain(Protocol):
    """Pre-trains as a recipe says; what it ends in lies in the run folder under ``model``."""

    def __call__(
        self, recipe: Recipe, folder: Path, *, listener: Listener | None = None, progress: Progress = silent
    ) -> Mapping[str, float]:
        """Returns the figures of the epoch that was kept, by name; one of them is ``train.metric``."""
        ...


@dataclass(frozen=True)
class PreTrainer:
    """Way of a task that learns without labels.

    Args:
        train: does it.
        describe: says what it would do, as `emotune train --dry-run` prints it.
    """

    train: PreTrain
    describe: Callable[..., dict[str, Any]]
