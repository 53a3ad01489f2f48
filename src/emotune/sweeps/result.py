"""Results of a sweep, as its page, table and JSON say it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from emotune.studies.results import StudyResult
from emotune.sweeps.plan import SweepPlan
from emotune.sweeps.trial import Told

SCHEMA = "emotune-sweep/1"


def chosen_folder(trials: int) -> str:
    """Folder of the fresh runs, by how many trials chose: more of them may choose otherwise."""
    return f"chosen_of_{trials}"


@dataclass(frozen=True)
class ArmResult:
    """One arm: its trials, and the best of them trained anew.

    Args:
        name: of the arm.
        trials: in their order.
        fresh: development scores of the best one's fresh runs, by seed; empty before they are there.
    """

    name: str
    trials: tuple[Told, ...]
    fresh: Mapping[int, float]

    @property
    def best(self) -> Told | None:
        """The complete trial of the highest development score, the first among equals; None without one."""
        whole = [trial for trial in self.trials if trial.state == "complete" and trial.score is not None]
        return max(whole, key=lambda trial: (trial.score or 0.0, -trial.number), default=None)

    @property
    def fresh_mean(self) -> float:
        """Mean development score over the fresh seeds; NaN without any."""
        return float(np.mean(list(self.fresh.values()))) if self.fresh else float("nan")

    @property
    def optimism(self) -> float:
        """Best trial's score less the mean over fresh seeds: what choosing the best of so many promised too much."""
        return (self.best.score or 0.0) - self.fresh_mean if self.best is not None else float("nan")

    def count(self, state: str) -> int:
        """Counts the trials of a state."""
        return sum(trial.state == state for trial in self.trials)

    def to_json(self) -> dict[str, object]:
        """Plain data for a JSON file."""
        return {
            "name": self.name,
            "best": None if self.best is None else vars(self.best),
            "fresh_development": {str(seed): score for seed, score in self.fresh.items()},
            "fresh_mean": self.fresh_mean,
            "optimism": self.optimism,
            "trials": [vars(trial) for trial in self.trials],
        }


@dataclass(frozen=True)
class SweepResult:
    """All of it.

    Args:
        name, description: of the sweep.
        metric: the development score that chooses.
        budget: trials of each arm.
        arms: in their order.
        chosen: the study of the fresh runs; None before it, or without fresh seeds.
    """

    name: str
    description: str
    metric: str
    budget: int
    arms: tuple[ArmResult, ...]
    chosen: StudyResult | None

    @classmethod
    def of(cls, plan: SweepPlan, told: Mapping[str, Sequence[Told]], chosen: StudyResult | None) -> SweepResult:
        """Puts together what is there."""
        fresh: dict[str, dict[int, float]] = {}
        if chosen is not None:
            fresh = {
                step.name: {run.seed: run.development for run in step.runs if run.finished} for step in chosen.steps
            }
        sweep = plan.sweep
        first = next(iter(sweep.arms))
        metric = plan.recipe(first, plan.first_values(first)).train.metric
        arms = tuple(ArmResult(arm, tuple(told[arm]), fresh.get(arm, {})) for arm in sweep.arms)
        return cls(sweep.name, sweep.description, metric, sweep.trials, arms, chosen)

    def to_json(self) -> dict[str, object]:
        """Plain data for a JSON file."""
        return {
            "schema": SCHEMA,
            "name": self.name,
            "description": self.description,
            "metric": self.metric,
            "trials_of_each_arm": self.budget,
            "arms": [arm.to_json() for arm in self.arms],
            "chosen": None if self.chosen is None else f"{chosen_folder(self.budget)}/study.json",
        }
