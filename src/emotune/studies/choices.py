"""Choices of the step that a step with ``from`` starts from: made once, written down, and kept while runs go by it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emotune.errors import TableError
from emotune.io.tables import read_json, to_json, write_text
from emotune.studies.plan import Plan, run_folder_of

FILE = "choices.json"


@dataclass(frozen=True)
class StepChoice:
    """A choice that was made on development.

    Args:
        step: that was chosen.
        candidates: mean development score of each step that could have been chosen, at the time.
        seeds: over which the mean was taken.
    """

    step: str
    candidates: Mapping[str, float]
    seeds: tuple[int, ...]


def best_of(candidates: Mapping[str, float]) -> str:
    """The candidate of the highest score, the first of equals; one without a score only where none has any.

    >>> best_of({"mean": 0.5, "std": 0.6, "attention": 0.6})
    'std'
    """
    return max(candidates, key=lambda name: -math.inf if math.isnan(candidates[name]) else candidates[name])


def kept_choices(plan: Plan, folder: Path) -> dict[str, StepChoice]:
    """Choices of an earlier call that a run of the step has begun with, and that the study still allows.

    They hold although more seeds may now say otherwise: what was trained starts from them.

    Raises:
        TableError: when the file cannot be understood.
    """
    path = folder / FILE
    if not path.exists():
        return {}
    found = {name: _read(value, path) for name, value in read_json(path, "The choices of a study").items()}
    kept: dict[str, StepChoice] = {}
    for step in plan.study.steps:
        choice = found.get(step.name)
        if choice is None or choice.step not in step.starts_from:
            continue
        has_begun = any(run_folder_of(folder, step.name, 0).parent.glob("*/recipe.yaml"))
        if has_begun and (choice.step in kept or not plan.step(choice.step).starts_from):
            kept[step.name] = choice
    return kept


def write_choices(folder: Path, choices: Mapping[str, StepChoice]) -> None:
    """Writes all choices into a study's folder."""
    write_text(folder / FILE, to_json({name: vars(choice) for name, choice in choices.items()}) + "\n")


def _read(value: Any, path: Path) -> StepChoice:
    try:
        scores = {str(name): float(score) for name, score in value["candidates"].items()}
        return StepChoice(str(value["step"]), scores, tuple(int(seed) for seed in value["seeds"]))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise TableError(f"{path} is no list of choices: remove it, and the steps are chosen anew.") from error
