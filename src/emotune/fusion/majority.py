"""Majority vote over systems."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from emotune.errors import ConfigError
from emotune.fusion.objective import CCC, Objective
from emotune.metrics.division import FloatArray


@dataclass(frozen=True)
class Majority:
    """One vote a system for its most probable class; a tie goes to the tied class with the greatest mean probability.

    The fused "probabilities" are (votes + mean probability) / (systems + 1), whose greatest is the class so chosen: a
    vote more counts as much as the mean probabilities can differ. Systems that failed do not vote.
    """

    needs_all = False

    def combine(self, values: FloatArray) -> FloatArray:
        """Combines answers, shape (systems, utterances, classes) -> (utterances, classes); NaN where all failed."""
        there = np.asarray(np.isfinite(values).all(axis=2))
        filled = np.where(there[:, :, None], values, 0.0)
        votes = (np.eye(values.shape[2])[filled.argmax(axis=2)] * there[:, :, None]).sum(axis=0)
        voters = there.sum(axis=0)[:, None].astype(float)
        means = filled.sum(axis=0) / np.maximum(voters, 1)
        return np.where(voters > 0, (votes + means) / (voters + 1), np.nan)

    def to_json(self) -> dict[str, Any]:
        """Plain data for a JSON file."""
        return {}


def fit(
    values: FloatArray, objective: Objective, *, seed: int, speakers: Sequence[str | None] | None = None
) -> Majority:
    """Returns the majority vote of values of shape (systems, utterances, classes), which has nothing to fit.

    Raises:
        ConfigError: for dimensions, for which nobody votes.
    """
    if objective.metric == CCC:
        raise ConfigError("The majority vote is of classes: choose weights or stacking for dimensions.")
    return Majority()
