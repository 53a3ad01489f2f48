"""Results of a comparison, as plain data: ``to_json`` for machines, the page for people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from emotune.evaluation.pairs import NotScored
from emotune.evaluation.statistics.bootstrap import LEVEL, Estimate

SCHEMA = "emotune-comparison/1"
SIGNIFICANT = 0.05
"""A difference counts as found when its corrected p is at most this."""
POWER = 0.8
"""With which probability a difference of the detectable size is found."""


@dataclass(frozen=True)
class Difference:
    """Difference between a system and its baseline, by one metric.

    Args:
        metric: such as ``uar``.
        system: whose score the baseline's is taken from.
        baseline: the other one.
        estimate: the difference and its interval.
        p: of the test that swaps speakers; NaN where both systems have several runs and not equally many.
        corrected_p: corrected (Holm) for all differences by this metric.
        smallest_p: the least corrected p that any difference could have had, with so few speakers or so few swaps.
        detectable: the difference that would have been found with a probability of 80 %, see ``detectable_difference``.
        verdict: all this in a sentence.
    """

    metric: str
    system: str
    baseline: str
    estimate: Estimate
    p: float
    corrected_p: float
    smallest_p: float
    detectable: float
    verdict: str = ""

    def to_json(self) -> dict[str, object]:
        """Plain data for a JSON file."""
        return {**vars(self), "estimate": self.estimate.to_json()}


@dataclass(frozen=True)
class Comparison:
    """Result of a comparison.

    Args:
        runs: system -> how many runs it has.
        utterances: how many the manifest holds.
        compared: how many have a truth and a usable prediction of every run.
        speakers: how many known speakers those have.
        clusters: the speakers, and every utterance without one.
        classes: which the systems choose from.
        below_chance: that no system is shown to beat chance, where that is so: to be said before anything else.
        scores: metric -> system -> score with interval.
        differences: of each pair by each metric.
        failures_wrong: the same with failed predictions counted as wrong; empty where none failed.
        left_out: what is not compared, and why.
        notes: what a reader should know.
        resamples: of the bootstrap, and of the test unless it goes through all swaps.
        seed: of both.
    """

    runs: Mapping[str, int]
    utterances: int
    compared: int
    speakers: int
    clusters: int
    classes: tuple[str, ...]
    below_chance: tuple[str, ...]
    scores: Mapping[str, Mapping[str, Estimate]]
    differences: tuple[Difference, ...]
    failures_wrong: tuple[Difference, ...]
    left_out: tuple[NotScored, ...]
    notes: tuple[str, ...]
    resamples: int
    seed: int

    def to_json(self) -> dict[str, object]:
        """Plain lists, dictionaries and numbers; NaN stays NaN here and becomes null in the file."""
        return {
            "schema": SCHEMA,
            **vars(self),
            "classes": list(self.classes),
            "scores": {
                metric: {name: score.to_json() for name, score in scores.items()}
                for metric, scores in self.scores.items()
            },
            "below_chance": list(self.below_chance),
            "differences": [item.to_json() for item in self.differences],
            "failures_wrong": [item.to_json() for item in self.failures_wrong],
            "left_out": [item.to_json() for item in self.left_out],
            "notes": list(self.notes),
            "interval_level": LEVEL,
            "power": POWER,
        }
