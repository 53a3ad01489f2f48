"""Results of a study, as its page, tables and JSON say it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from emotune.evaluation.comparing.by_group import GroupGain
from emotune.evaluation.comparing.comparison import Comparison, Difference
from emotune.evaluation.statistics.bootstrap import LEVEL
from emotune.studies.choices import StepChoice
from emotune.studies.study import Curve

SCHEMA = "emotune-study/1"


@dataclass(frozen=True)
class RunResult:
    """One run: which seed, whether it is finished, why not, its development score and how long it took, in seconds."""

    seed: int
    finished: bool
    error: str | None
    development: float
    seconds: float


@dataclass(frozen=True)
class StepResult:
    """One step, or a system that is composed of other steps' runs.

    Args:
        name: of the step.
        recipe: whose recipe it is, by name; empty where it starts from another step.
        choice: which step it starts from, None where it has its own recipe.
        against: the step it is compared with, None for the first one.
        changes: how its recipe differs from that one's, one text a key.
        runs: one a seed.
        parameters: of the model; None where they are not known.
        trainable: those of them that train.
        missing: why it has no results; empty where it has.
        scored: whether it is compared, rather than there for others.
        is_composed: whether it is made of other steps' runs: the fused system, and under folds the best single one.
    """

    name: str
    recipe: str
    choice: StepChoice | None
    against: str | None
    changes: tuple[str, ...]
    runs: tuple[RunResult, ...]
    parameters: int | None
    trainable: int | None
    missing: str = ""
    scored: bool = True
    is_composed: bool = False

    @property
    def development(self) -> float:
        """Mean development score of the finished runs."""
        return _mean([run.development for run in self.runs if run.finished])

    @property
    def seconds(self) -> float:
        """Mean duration of a run, over its folds."""
        return _mean([run.seconds for run in self.runs if run.finished])

    def to_json(self) -> dict[str, object]:
        """Values for JSON, by key."""
        own = {name: value for name, value in vars(self).items() if name != "choice"}
        return {
            **own,
            "starts_from": self.choice and self.choice.step,
            "candidates": self.choice.candidates if self.choice else {},
            "chosen_with_seeds": self.choice.seeds if self.choice else [],
            "development": self.development,
            "seconds": self.seconds,
            "runs": [vars(run) for run in self.runs],
        }


@dataclass(frozen=True)
class TestResult:
    """All steps on one test: the comparison, each run's score by the first metric, and whom each step helped."""

    name: str
    comparison: Comparison
    of_runs: Mapping[str, Mapping[int, float]]
    helped: tuple[GroupGain, ...]

    def difference(self, step: str, metric: str) -> Difference | None:
        """A step against its predecessor; None for the first one."""
        return next((d for d in self.comparison.differences if (d.system, d.metric) == (step, metric)), None)

    def to_json(self) -> dict[str, object]:
        """Values for JSON, by key."""
        return {
            "comparison": self.comparison.to_json(),
            "of_runs": {step: {str(seed): score for seed, score in of.items()} for step, of in self.of_runs.items()},
            "helped": [item.to_json() for item in self.helped],
        }


@dataclass(frozen=True)
class StudyResult:
    """All of it.

    Args:
        name: of the study.
        description: likewise.
        kind: train or probe.
        seeds: of each step.
        compared_seeds: those that every step with results has finished: scores and differences are theirs.
        common: what the study sets in every step, one text a key.
        chosen_by: the metric that ``from`` goes by, on development.
        metrics: what steps are compared by, the most important first.
        steps: in their order, composed ones last.
        tests: by name, those with labels.
        predicted_only: tests without labels, whose predictions lie in the run folders.
        notices: what limits the figures, from recipes and reports.
        notes: what else a reader should know.
        has_folds: whether several folds were tested together, so that who chooses in one is tested in another.
        curve: lines of steps over values of a key; None where there are none.
    """

    name: str
    description: str
    kind: str
    seeds: tuple[int, ...]
    compared_seeds: tuple[int, ...]
    common: tuple[str, ...]
    chosen_by: str
    metrics: tuple[str, ...]
    steps: tuple[StepResult, ...]
    tests: tuple[TestResult, ...]
    predicted_only: tuple[str, ...]
    notices: tuple[str, ...]
    notes: tuple[str, ...]
    has_folds: bool = False
    curve: Curve | None = None

    @property
    def missing(self) -> list[str]:
        """One text for each run that is not there."""
        found = [f"{step.name}: {step.missing}" for step in self.steps if step.missing]
        for step in self.steps:
            found += [
                f"{step.name}, seed {run.seed}: {run.error or 'not finished'}" for run in step.runs if not run.finished
            ]
        return found

    def to_json(self) -> dict[str, object]:
        """Values for JSON, by key."""
        return {
            "schema": SCHEMA,
            **vars(self),
            "steps": [step.to_json() for step in self.steps],
            "tests": {test.name: test.to_json() for test in self.tests},
            "curve": self.curve and self.curve.model_dump(mode="json"),
            "missing": self.missing,
            "interval_level": LEVEL,
        }


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else float("nan")
