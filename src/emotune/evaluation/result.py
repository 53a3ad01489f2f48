"""Results of an evaluation, as plain data: ``to_json`` for machines, the report for people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from emotune.evaluation.abstention import Abstention
from emotune.evaluation.fairness import Fairness
from emotune.evaluation.groups import CORPUS
from emotune.evaluation.pairs import NotScored
from emotune.evaluation.statistics.bootstrap import LEVEL, Estimate
from emotune.evaluation.statistics.chance import CHANCE_METRICS
from emotune.evaluation.vote_scores import VoteScores
from emotune.metrics.division import FloatArray, IntArray
from emotune.schema.labels import Scale

if TYPE_CHECKING:
    from emotune.evaluation.words.against_voice import WordsAgainstVoice

SCHEMA = "emotune-evaluation/1"


@dataclass(frozen=True)
class ClassScores:
    """One class: how often it occurs and is predicted, and how well it is found."""

    name: str
    support: int
    predicted: int
    recall: Estimate
    precision: float
    f1: float


@dataclass(frozen=True)
class ConfidenceBin:
    """Utterances whose most probable class got a confidence in (low, high]; means are NaN for an empty bin."""

    low: float
    high: float
    count: int
    confidence: float
    accuracy: float


@dataclass(frozen=True)
class CalibrationScores:
    """Scores of the probabilities; smaller is better for all three."""

    expected_calibration_error: Estimate
    brier_score: Estimate
    negative_log_likelihood: Estimate
    bins: tuple[ConfidenceBin, ...]


@dataclass(frozen=True)
class DimensionScores:
    """One dimension; ``rmse`` is on the scale of the annotation. The values themselves are not part of the JSON."""

    name: str
    scale: Scale
    utterances: int
    ccc: Estimate
    pearson: Estimate
    rmse: Estimate
    truth: FloatArray = field(repr=False)
    prediction: FloatArray = field(repr=False)


@dataclass(frozen=True)
class Group:
    """The scores of some of the utterances: those of one gender, speaker or duration.

    ``classes`` are those that occur in the group: UAR is a mean over them alone, macro-F1 over them and those that were
    answered there.
    """

    by: str
    name: str
    utterances: int
    speakers: int
    classes: tuple[str, ...]
    scores: Mapping[str, Estimate]


@dataclass(frozen=True, repr=False)
class Evaluation:
    """Evaluation of one model's predictions on one manifest.

    Args:
        utterances: how many the manifest holds.
        scored: how many of them have a truth and a usable prediction.
        speakers: how many known speakers those have.
        clusters: how many clusters the intervals resample: the speakers and every utterance without one.
        classes: the model's classes, in the order of the confusion matrix.
        confusion: counts, shape (classes, classes), rows the truth.
        overall: metric -> score with interval.
        per_class: one entry a class of the model.
        calibration: None when classes are not scored.
        dimensions: one entry a scored dimension.
        groups: by corpus, gender, age, language, speaker and duration.
        not_scored: what was left out, why, and how much.
        notes: what a reader of the figures should know.
        resamples: of the bootstrap.
        seed: of the bootstrap.
        votes: against the annotators' votes; None where there are none.
        abstention: risk against coverage; None when classes are not scored.
        fairness: groups and speakers held against each other; None when classes are not scored.
        corpora_mean: metric -> mean of the corpora's scores, each corpus counting as much; empty where there is one.
        words: which of words and voice the answers go by; None without transcripts.
    """

    utterances: int
    scored: int
    speakers: int
    clusters: int
    classes: tuple[str, ...]
    confusion: IntArray
    overall: Mapping[str, Estimate]
    per_class: tuple[ClassScores, ...]
    calibration: CalibrationScores | None
    dimensions: tuple[DimensionScores, ...]
    groups: tuple[Group, ...]
    not_scored: tuple[NotScored, ...]
    notes: tuple[str, ...]
    resamples: int
    seed: int
    votes: VoteScores | None = None
    abstention: Abstention | None = None
    fairness: Fairness | None = None
    corpora_mean: Mapping[str, Estimate] = field(default_factory=dict[str, Estimate])
    words: WordsAgainstVoice | None = None

    def __repr__(self) -> str:
        """Scores in a line, for notebooks."""
        scores = ", ".join(f"{name} {score.in_words()}" for name, score in self.overall.items())
        return f"Evaluation({scores}; {self.scored} utterances, {self.speakers} speakers)"

    @property
    def chance(self) -> float:
        """The UAR of guessing: one over the number of classes that the truth has; NaN without classes."""
        present = int(np.count_nonzero(self.confusion.sum(axis=1)))
        return 1 / present if present else float("nan")

    @property
    def of_corpora(self) -> dict[str, Estimate]:
        """UAR and CCC of each corpus, and their means, by a name in words; empty where there is one corpus."""
        corpora = self.groups_by(CORPUS)
        shown = [name for name in CHANCE_METRICS if name in self.corpora_mean]
        each = {f"{name} of {group.name}": group.scores[name] for name in shown for group in corpora}
        return each | {f"{name}, mean of {len(corpora)} corpora": self.corpora_mean[name] for name in shown}

    def groups_by(self, by: str) -> tuple[Group, ...]:
        """Groups by one property."""
        return tuple(group for group in self.groups if group.by == by)

    def to_json(self) -> dict[str, object]:
        """Plain lists, dictionaries and numbers; NaN stays NaN here and becomes null in the file."""
        return {
            "schema": SCHEMA,
            "utterances": self.utterances,
            "scored": self.scored,
            "not_scored": [item.to_json() for item in self.not_scored],
            "speakers": self.speakers,
            "clusters": self.clusters,
            "interval": {"level": LEVEL, "resamples": self.resamples, "seed": self.seed},
            "overall": _estimates(self.overall),
            "chance_uar": self.chance,
            "corpora_mean": _estimates(self.corpora_mean),
            "classes": list(self.classes),
            "confusion": self.confusion.tolist(),
            "per_class": [
                {
                    "class": item.name,
                    "support": item.support,
                    "predicted": item.predicted,
                    "recall": item.recall.to_json(),
                    "precision": item.precision,
                    "f1": item.f1,
                }
                for item in self.per_class
            ],
            "calibration": None if self.calibration is None else _calibration(self.calibration),
            "dimensions": {
                item.name: {
                    "scale": [item.scale.low, item.scale.high],
                    "utterances": item.utterances,
                    **_estimates({"ccc": item.ccc, "pearson": item.pearson, "rmse": item.rmse}),
                }
                for item in self.dimensions
            },
            "groups": [
                {
                    "by": group.by,
                    "name": group.name,
                    "utterances": group.utterances,
                    "speakers": group.speakers,
                    "classes": list(group.classes),
                    "scores": _estimates(group.scores),
                }
                for group in self.groups
            ],
            "abstention": None if self.abstention is None else self.abstention.to_json(),
            "votes": None if self.votes is None else self.votes.to_json(),
            "fairness": None if self.fairness is None else self.fairness.to_json(),
            "words_against_voice": None if self.words is None else self.words.to_json(),
            "notes": list(self.notes),
        }


def _estimates(scores: Mapping[str, Estimate]) -> dict[str, dict[str, float]]:
    return {name: score.to_json() for name, score in scores.items()}


def _calibration(calibration: CalibrationScores) -> dict[str, object]:
    return {
        "expected_calibration_error": calibration.expected_calibration_error.to_json(),
        "brier_score": calibration.brier_score.to_json(),
        "negative_log_likelihood": calibration.negative_log_likelihood.to_json(),
        "bins": [dict(vars(item)) for item in calibration.bins],
    }
