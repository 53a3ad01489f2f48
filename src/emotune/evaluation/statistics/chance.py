"""Comparison with guessing, which comes before any difference between systems."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from emotune.evaluation.statistics.bootstrap import Estimate
from emotune.metrics.division import IntArray

CHANCE_METRICS = {"uar": "UAR", "ccc": "CCC"}
"""Metrics that guessing is judged by, of classes and of dimensions, whatever else is shown."""


def chance_of(metric: str, truth: IntArray) -> float:
    """Score of guessing: a UAR of one over the classes that the truth has, a CCC of 0.

    Args:
        metric: of ``CHANCE_METRICS``.
        truth: class indices, below 0 where there is none, shape (utterances,).
    """
    if metric != "uar":
        return 0.0
    present = np.unique(truth[truth >= 0])
    return 1 / len(present) if len(present) else math.nan


def beats_chance(score: Estimate, chance: float) -> bool:
    """Tells whether the whole interval lies above chance; without an interval nothing is shown."""
    return score.has_interval and score.low > chance


def chance_words(metric: str, scores: Mapping[str, Estimate], chance: float) -> tuple[str | None, str | None]:
    """Says first that no system beats chance; otherwise names those that do not."""
    failing = [name for name, score in scores.items() if not beats_chance(score, chance)]
    if not failing or math.isnan(chance):
        return None, None
    guessed = f"{CHANCE_METRICS[metric]} {chance:.3f} is what guessing gives"
    if len(failing) < len(scores):
        shown = ", ".join(f"{name} ({scores[name].in_words()})" for name in failing)
        return None, f"Not shown to beat chance ({guessed}): {shown}."
    best = max(scores, key=lambda name: float(np.nan_to_num(scores[name].value, nan=-np.inf)))
    without = "" if scores[best].has_interval else ", without an interval"
    return (
        f"No system is shown to beat chance: {guessed}, and the best is {best} with {scores[best].in_words()}{without}."
        " What they differ in then says little.",
        None,
    )
