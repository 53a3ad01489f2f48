"""Outlook of a study: how many runs there are, which are done, and how long the others take by those of their kind."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from emotune.protocols.protocol import folds_of, load_protocol, under_protocol
from emotune.schema.run_folder import RunFolder
from emotune.studies.plan import Plan, run_folder_of
from emotune.training.manifest import source_manifest


@dataclass(frozen=True)
class StepOutlook:
    """One step's runs.

    Args:
        name: of the step.
        runs: one a seed.
        done: those that are finished.
        folds: trainings in each run, of the protocol; 1 without one.
        epochs: of each training; 0 for a probe.
        seconds: of a run, the mean of those that are done; NaN where none is.
    """

    name: str
    runs: int
    done: int
    folds: int
    epochs: int
    seconds: float

    @property
    def left_s(self) -> float:
        """Seconds that the runs that are left take; NaN where no run tells."""
        return 0.0 if self.done == self.runs else (self.runs - self.done) * self.seconds

    @property
    def cells(self) -> tuple[str, ...]:
        """A row of a table."""
        known = math.isfinite(self.left_s)
        seconds = f"{self.seconds:,.0f}" if math.isfinite(self.seconds) else "–"
        return (
            *(self.name, str(self.runs), str(self.done), str(self.folds), str(self.epochs) if self.epochs else "–"),
            *(seconds, f"{self.left_s / 60:,.0f}" if known else "–"),
        )


def outlook(plan: Plan, folder: Path) -> list[StepOutlook]:
    """Looks at what a study's folder holds.

    A step without a finished run is taken to last as the steps of its line do at other values, a fold each.
    """
    found = [_step(plan, step.name, folder) for step in plan.study.steps]
    lines = plan.study.curve.lines.values() if plan.study.curve is not None else []
    return [_by_its_line(step, found, [set(line.values()) for line in lines]) for step in found]


def in_words(steps: Sequence[StepOutlook]) -> str:
    """Runs and trainings that are left, and the time they take."""
    left = sum(step.runs - step.done for step in steps)
    trainings = sum((step.runs - step.done) * step.folds for step in steps)
    known = [step.left_s for step in steps if math.isfinite(step.left_s)]
    unknown = [step.name for step in steps if not math.isfinite(step.left_s)]
    said = f"{left} runs are left, {trainings} trainings"
    if known and left:
        said += f"; about {sum(known) / 60:,.0f} min by the runs that are done, one at a time"
    if unknown:
        said += f"; not known of {len(unknown)} steps, of which no run is done"
    return f"{said}."


def _step(plan: Plan, name: str, folder: Path) -> StepOutlook:
    seeds = plan.seeds(name)
    starts = {step.name: step.starts_from[0] for step in plan.study.steps if step.starts_from}
    recipe = plan.recipe(name, seeds[0], starts, folder)
    folds = 1
    if recipe.protocol is not None:
        protocol = load_protocol(recipe.protocol)
        if protocol.groups is not None:
            folds = len(protocol.groups.folds)
        elif recipe.data.manifest is not None and recipe.data.manifest.is_file():
            folds = len(folds_of(protocol, under_protocol(source_manifest(recipe), protocol)))
        else:
            folds = _folds_in(folder, name, seeds)
    known = [RunFolder(run_folder_of(folder, name, seed)) for seed in seeds]
    seconds = [run.information().get("seconds") for run in known if run.finished]
    timed = [second for second in seconds if second is not None]
    epochs = recipe.train.epochs if plan.kind(name) == "train" else 0
    return StepOutlook(name, len(seeds), len(seconds), folds, epochs, float(np.mean(timed)) if timed else math.nan)


def _folds_in(folder: Path, name: str, seeds: Sequence[int]) -> int:
    """Folds of a run that is done, where the protocol alone does not say how many there are; 1 where none is."""
    counts = [len(list(run_folder_of(folder, name, seed).glob("*/provenance.json"))) for seed in seeds]
    return max([1, *counts])


def _by_its_line(step: StepOutlook, steps: Sequence[StepOutlook], lines: Sequence[set[str]]) -> StepOutlook:
    if math.isfinite(step.seconds):
        return step
    line = next((line for line in lines if step.name in line), {step.name})
    others = [other.seconds for other in steps if other.name in line and math.isfinite(other.seconds)]
    return StepOutlook(step.name, step.runs, step.done, step.folds, step.epochs, max(others) if others else math.nan)
