"""The fused system of a study: for each seed and test, the runs of several steps fused on development."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from emotune.errors import EmotuneError
from emotune.evaluation.evaluate import CLASS_MEASURES
from emotune.evaluation.line_up import System
from emotune.labels import LabelSpace
from emotune.predictions import Predictions
from emotune.studies.folds import POOLED
from emotune.studies.fused_page import write_fusion
from emotune.studies.fused_runs import FusedRuns, fuse_runs
from emotune.studies.study import Fuse
from emotune.studies.study_runs import StudyRun
from emotune.training.build import TEST


@dataclass(frozen=True)
class FusedSystem:
    """What was fused.

    Args:
        tables: test -> predictions of each seed; empty where nothing could be fused.
        weights: step -> its mean weight over seeds and folds; empty for methods without weights.
        notes: what could not be fused, and what should be known.
    """

    tables: Mapping[str, tuple[Predictions, ...]]
    weights: Mapping[str, float]
    notes: tuple[str, ...]


def fuse_steps(
    fuse: Fuse,
    steps: Sequence[str],
    runs: Mapping[str, Mapping[int, StudyRun]],
    seeds: Sequence[int],
    tests: Sequence[str],
    folder: Path,
    *,
    metric: str,
    seed: int,
) -> FusedSystem:
    """Fuse steps seed by seed, each test by itself, and write what ``emotune fuse`` writes.

    Args:
        fuse: the study's section.
        steps: which are fused.
        runs: step -> seed -> finished run.
        seeds: those that all steps have.
        tests: names of the results to fuse.
        folder: gets ``fused/seed_<n>/<test>``.
        metric: what development is searched for; ``ccc.arousal`` and the like stand for ``ccc``.
        seed: of the search.
    """
    lacking = [name for name in steps if name not in runs]
    if lacking or not seeds:
        return FusedSystem({}, {}, (f"Not fused: {', '.join(lacking) or 'no seed'} is not finished by all systems.",))
    tables: dict[str, tuple[Predictions, ...]] = {}
    fitted: list[FusedRuns] = []
    notes: list[str] = []
    for name in tests:
        try:
            found = [
                fuse_runs(
                    [(step, runs[step][number].folder) for step in steps],
                    split=TEST if name == POOLED else name,
                    method=fuse.method,
                    metric=metric.partition(".")[0],
                    seed=seed,
                )
                for number in seeds
            ]
        except EmotuneError as error:
            notes.append(f"{name} is not fused: {error}")
            continue
        for number, one in zip(seeds, found, strict=True):
            write_fusion(folder / "fused" / f"seed_{number}" / name, one)
        tables[name] = tuple(one.predictions for one in found)
        fitted += found
        notes += [f"{fuse.name}: {note}" for one in found for note in one.notes]
    return FusedSystem(tables, _mean_weights(fitted, steps), tuple(dict.fromkeys(notes)))


def of_one_task(systems: Sequence[System], fused: System, metrics: Sequence[str]) -> tuple[list[System], list[str]]:
    """All systems with the classes, or the dimensions, that were fused alone; and the metrics of these."""
    space = fused.runs[0].label_space
    of_classes = bool(space.classes)
    restricted = [
        System(system.name, tuple(dataclasses.replace(run, label_space=_part(run, of_classes)) for run in system.runs))
        for system in systems
    ]
    return [*restricted, fused], [name for name in metrics if (name in CLASS_MEASURES) == of_classes]


def _part(run: Predictions, of_classes: bool) -> LabelSpace:
    space = run.label_space
    return LabelSpace(space.classes, {}) if of_classes else LabelSpace((), space.dimensions)


def _mean_weights(fitted: Sequence[FusedRuns], steps: Sequence[str]) -> dict[str, float]:
    each = [fold.weights for one in fitted for fold in one.folds.values()]
    known = [weights for weights in each if weights is not None]
    return {step: float(np.mean([weights[step] for weights in known])) for step in steps} if known else {}
