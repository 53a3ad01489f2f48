"""Sweep as its file says it: arms of a recipe, what is searched, trials of each arm, fresh seeds at the end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from emotune.config.recipe import LARGEST_SEED
from emotune.section import Section
from emotune.studies.study import Name


class Range(Section):
    """Numbers from ``low`` to ``high``, both included: whole ones where both are whole, else any."""

    low: int | float
    high: int | float
    log: bool = False
    """equally often for each ratio"""
    step: int | float | None = None
    """only low, low + step, ..."""

    @model_validator(mode="after")
    def _ordered(self) -> Range:
        if not self.low < self.high:
            raise ValueError(f"low is {self.low} and high is {self.high}, expected low < high")
        if self.log and self.low <= 0:
            raise ValueError(f"log needs low above 0, got {self.low}")
        if self.log and self.step is not None:
            raise ValueError("give either log or step")
        if self.step is not None and self.step <= 0:
            raise ValueError(f"step is {self.step}, expected more than 0")
        return self


Space = Mapping[str, Range | Annotated[list[Any], Field(min_length=2)]]
"""Key of the recipe -> a range, or a list of two values at least."""


class Arm(Section):
    """One of the compared variants: the changes of ``set``, and keys that are searched in it alone."""

    changes: dict[str, Any] = Field(default={}, alias="set")
    space: Space = Field(default={})


class Sweep(Section):
    """Search of ``space`` in each arm by ``trials`` runs, each on development; ``seeds`` fresh runs of each arm's best.

    All trials have the seed ``seed``, so that luck of the seed is no choice; the fresh seeds come after it. With
    ``prune`` a trial ends after an epoch in which it is worse than the median of the arm's earlier ones at that epoch;
    the first ``prune_from`` trials of an arm are never ended.
    """

    name: str = ""
    description: str = ""
    kind: Literal["train", "probe"] = "train"
    recipe: str
    changes: dict[str, Any] = Field(default={}, alias="set")
    arms: dict[Name, Arm] = Field(default={"only": Arm()}, min_length=1)
    space: Space = Field(default={})
    trials: int = Field(default=20, ge=1)
    """of each arm"""
    seed: int = Field(default=0, ge=0, le=LARGEST_SEED)
    """of every trial, and of the search"""
    seeds: int = Field(default=3, ge=0, le=100)
    """fresh ones for each arm's best; 0 = none"""
    tests: list[str] = Field(default=["test"], min_length=1)
    """what the fresh runs are scored on"""
    sampler: Literal["tpe", "random"] = "tpe"
    prune: bool = True
    """end hopeless trials early"""
    prune_from: int = Field(default=5, ge=1)
    """trials of an arm that are never ended early"""

    @model_validator(mode="after")
    def _fits_together(self) -> Sweep:
        faults = []
        for name, arm in self.arms.items():
            if not self.space_of(name):
                faults.append(f"arm {name}: nothing is searched; give keys of the recipe under space")
            faults += [
                f"arm {name}: {key} is searched and set; leave out either"
                for key in self.space_of(name)
                if key in arm.changes
            ]
        keys = {key for name, arm in self.arms.items() for key in (*arm.changes, *self.space_of(name))}
        if "seed" in keys or "seed" in self.changes:
            faults.append("seed is the sweep's: all trials have it, and fresh ones come after it")
        if "protocol" in keys or self.changes.get("protocol"):
            faults.append("protocol: a sweep chooses on one development split; give the chosen recipe a protocol later")
        if faults:
            raise ValueError("; ".join(faults))
        return self

    def space_of(self, arm: str) -> dict[str, Range | list[Any]]:
        """Keys that are searched in an arm: the sweep's keys and its own."""
        return {**self.space, **self.arms[arm].space}

    @property
    def fresh_seeds(self) -> list[int]:
        """The seeds that no trial had."""
        return [(self.seed + number) % (LARGEST_SEED + 1) for number in range(1, self.seeds + 1)]
