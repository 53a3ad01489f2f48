"""The fused system of a study: for each seed and test, the runs of several steps fused on development."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from emotune.errors import EmotuneError
from emotune.evaluation.comparing.line_up import System
from emotune.evaluation.evaluate import CLASS_MEASURES
from emotune.fusion.runs import FusedSplit, FusionOfRuns, fit_runs, of_task
from emotune.protocols.run import POOLED
from emotune.report.fusion_page import write_fusion
from emotune.schema.labels import LabelSpace
from emotune.schema.predictions import Predictions, predictions_of
from emotune.schema.run_folder import RunFolder
from emotune.schema.splits import TEST
from emotune.studies.choices import best_of
from emotune.studies.gather import ComparableRuns
from emotune.studies.plan import Plan, chosen_metric
from emotune.studies.results import StepResult
from emotune.studies.study import Fuse
from emotune.studies.study_run import StudyRun

BEST_SINGLE = "best single"
"""Under folds: in each fold the step that is best on its own development. No step can have a name with a space."""


@dataclass(frozen=True)
class FusedSystem:
    """A study's fusion, with the systems that it is compared with.

    Args:
        steps: how both are made, the fused system last; empty where nothing could be fused.
        fused: test -> seed -> the fusion.
        best_single: of each seed, where there are folds; else empty, and the fused system is compared with a step.
        notes: what could not be fused, and what should be known.
    """

    steps: tuple[StepResult, ...] = ()
    fused: Mapping[str, Mapping[int, FusedSplit]] = field(default_factory=dict)
    best_single: tuple[Predictions, ...] = ()
    notes: tuple[str, ...] = ()

    def systems(self, test: str) -> list[System]:
        """Systems beside the steps in the comparison on a test, the fused system last; none where it is not fused."""
        if test not in self.fused:
            return []
        best = [System(BEST_SINGLE, self.best_single)] if self.best_single else []
        return [*best, System(self.steps[-1].name, tuple(one.predictions for one in self.fused[test].values()))]


NOTHING_FUSED = FusedSystem()


def fuse_steps(plan: Plan, comparable: ComparableRuns, *, seed: int = 0) -> FusedSystem:
    """Fuses a study's steps seed by seed; those without results are left out, and named.

    Args:
        plan: the study; ``ccc.arousal`` and the like as its first metric stand for ``ccc``.
        comparable: its runs.
        seed: of the search.
    """
    fuse, metric = plan.study.fuse, chosen_metric(plan)
    if fuse is None or not comparable.runs:
        return NOTHING_FUSED
    names = [name for name in plan.study.fused_steps if name in comparable.runs]
    lacking = [name for name in plan.study.fused_steps if name not in comparable.runs]
    notes = [f"{fuse.name} is without {', '.join(lacking)}, of which no run is finished."] if lacking else []
    if len(names) < 2 or not comparable.seeds:
        why = "two steps with results are needed" if len(names) < 2 else "no seed is finished by all steps"
        return FusedSystem(notes=(*notes, f"Not fused: {why}."))
    runs = {name: dict(zip(comparable.seeds, comparable.runs[name], strict=True)) for name in names}
    try:
        fitted = {number: _fit(runs, number, fuse, metric, seed) for number in comparable.seeds}
    except EmotuneError as error:
        return FusedSystem(notes=(*notes, f"Not fused: {error}"))
    fused, more = _applied(fitted, comparable.tests)
    notes += list(dict.fromkeys(f"{fuse.name}: {note}" for note in more))
    if not fused:
        return FusedSystem(notes=tuple(notes))
    words = _in_words(fuse, names, list(fitted.values()))
    if comparable.has_folds:
        chosen = best_in_each_fold(runs, metric)
        said = f"best on each fold's development: {'; '.join(f'{fold} {step}' for fold, step in chosen.items())}"
        steps = (_composed(BEST_SINGLE, None, said), _composed(fuse.name, BEST_SINGLE, words))
        return FusedSystem(steps, fused, _of_folds(chosen, runs, fused[POOLED]), tuple(notes))
    against = best_of({step.name: step.development for step in comparable.steps if step.name in names})
    return FusedSystem((_composed(fuse.name, against, words),), fused, (), tuple(notes))


def write_fused(folder: Path, system: FusedSystem) -> None:
    """Writes the files of ``emotune fuse`` into ``fused/seed_<n>/<test>``."""
    for test, of_seeds in system.fused.items():
        for number, one in of_seeds.items():
            write_fusion(folder / "fused" / f"seed_{number}" / test, one)


def best_in_each_fold(runs: Mapping[str, Mapping[int, StudyRun]], metric: str) -> dict[str, str]:
    """Fold -> the step with the highest mean score over the seeds on that fold's own development.

    Args:
        runs: step -> seed -> run.
        metric: what development is scored by.
    """
    scores = {step: [run.development_scores(metric) for run in of_seeds.values()] for step, of_seeds in runs.items()}
    folds = sorted(next(iter(scores.values()))[0], key=lambda fold: (len(fold), fold))
    return {
        fold: best_of({step: float(np.mean([of[fold] for of in each])) for step, each in scores.items()})
        for fold in folds
    }


def of_one_task(
    systems: Sequence[System], composed: Sequence[System], metrics: Sequence[str]
) -> tuple[list[System], list[str]]:
    """All systems with the classes, or the dimensions, that were fused alone; and the metrics of these."""
    space = composed[-1].runs[0].label_space
    of_classes = bool(space.classes)
    restricted = [
        System(system.name, tuple(dataclasses.replace(run, label_space=_part(run, of_classes)) for run in system.runs))
        for system in systems
    ]
    return [*restricted, *composed], [name for name in metrics if (name in CLASS_MEASURES) == of_classes]


def _fit(runs: Mapping[str, Mapping[int, StudyRun]], number: int, fuse: Fuse, metric: str, seed: int) -> FusionOfRuns:
    named = [(step, of_seeds[number].folder) for step, of_seeds in runs.items()]
    return fit_runs(named, method=fuse.method, metric=metric.partition(".")[0], seed=seed)


def _applied(
    fitted: Mapping[int, FusionOfRuns], tests: Sequence[str]
) -> tuple[dict[str, dict[int, FusedSplit]], list[str]]:
    """Test -> seed -> the fusion, where that can be had; and what should be known."""
    fused: dict[str, dict[int, FusedSplit]] = {}
    notes: list[str] = []
    for test in tests:
        try:
            fused[test] = {number: one.apply(TEST if test == POOLED else test) for number, one in fitted.items()}
        except EmotuneError as error:
            notes.append(f"{test} is not fused: {error}")
        else:
            notes += [note for one in fused[test].values() for note in one.notes]
    return fused, notes


def _of_folds(
    chosen: Mapping[str, str], runs: Mapping[str, Mapping[int, StudyRun]], fused: Mapping[int, FusedSplit]
) -> tuple[Predictions, ...]:
    """For each seed one table of what each fold's chosen step says of what that fold tests."""
    found = []
    for number, one in fused.items():
        space = one.predictions.label_space
        folders = [RunFolder(runs[step][number].folder / fold) for fold, step in chosen.items()]
        rows = [row for folder in folders for row in of_task(predictions_of(folder, TEST), space)]
        found.append(Predictions(tuple(rows), space))
    return tuple(found)


def _composed(name: str, against: str | None, words: str) -> StepResult:
    return StepResult(name, "", None, against, (words,), (), None, None, is_composed=True)


def _part(run: Predictions, of_classes: bool) -> LabelSpace:
    space = run.label_space
    return LabelSpace(space.classes, {}) if of_classes else LabelSpace((), space.dimensions)


def _in_words(fuse: Fuse, names: Sequence[str], fitted: Sequence[FusionOfRuns]) -> str:
    """Describes the fusion of the steps, with their weights on average over seeds and folds."""
    each = [fold.weights for one in fitted for fold in one.fitted.values()]
    known = [weights for weights in each if weights is not None]
    if not known:
        return f"{fuse.method} over {', '.join(names)}"
    shown = ", ".join(f"{name} {np.mean([weights[name] for weights in known]):.2f}" for name in names)
    return f"weights, on average {shown}"
