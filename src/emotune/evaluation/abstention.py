"""Abstention: risk against coverage, and the model's own threshold tried on the test set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from emotune.evaluation.pairs import Pairs
from emotune.evaluation.statistics.bootstrap import UNIT, ClusterBootstrap, Estimate, recoded
from emotune.metrics.classes import accuracy_of, confusion_matrices, uar_of
from emotune.metrics.division import FloatArray, IntArray, ratio
from emotune.metrics.probabilities import expected_calibration_error, negative_log_likelihood
from emotune.schema.calibration import Calibration, least_confidence, with_temperature

COVERAGES = (1.0, 0.9, 0.8, 0.7, 0.5)
PROMISED = 0.8
"""The coverage at which the threshold of the development split is tried."""
STEPS = 100
"""Points of the risk-coverage curve."""


@dataclass(frozen=True)
class OperatingPoint:
    """Scores of the clips whose confidence is at least ``threshold``."""

    threshold: float
    coverage: Estimate
    accuracy: Estimate
    uar: Estimate

    @property
    def wrong(self) -> float:
        """The share of wrong answers."""
        return 1 - self.accuracy.value

    def to_json(self) -> dict[str, object]:
        """Plain data for a JSON file."""
        return {
            "threshold": self.threshold,
            "coverage": self.coverage.to_json(),
            "accuracy": self.accuracy.to_json(),
            "uar": self.uar.to_json(),
        }


@dataclass(frozen=True)
class Abstention:
    """Risk, the share of wrong answers, when only the most confident clips are answered.

    Args:
        coverage: share answered at each point of the curve, rising, shape (points,).
        risk: share of the answered that is wrong, shape (points,).
        best_risk: what a confidence that ranks every right answer above every wrong one would give, shape (points,).
        area: under the curve; the risk of everything would be that of answering at random.
        levels: at the coverages of ``COVERAGES``, with thresholds of these very clips.
        promised: at the threshold that answers ``PROMISED`` of the development split; None where it is not known.
    """

    coverage: FloatArray
    risk: FloatArray
    best_risk: FloatArray
    area: Estimate
    levels: tuple[OperatingPoint, ...]
    promised: OperatingPoint | None

    def to_json(self) -> dict[str, object]:
        """Plain data for a JSON file."""
        return {
            "curve": {"coverage": self.coverage.tolist(), "risk": self.risk.tolist()},
            "area_under_risk_coverage": self.area.to_json(),
            "levels": [item.to_json() for item in self.levels],
            "promised": None if self.promised is None else {"share": PROMISED, **self.promised.to_json()},
        }


def abstention_of(
    pairs: Pairs,
    *,
    calibration: Calibration | None = None,
    own: Mapping[str, float] | None = None,
    resamples: int,
    seed: int,
) -> Abstention | None:
    """Risk and coverage of the rows that have a class, with intervals over speakers; None without such rows.

    Intervals hold the thresholds fixed: they say how other speakers would fare under them.

    Args:
        calibration: of the model, for its own threshold; None where it is not known.
        own: utterance_id -> the model's confidence over all its classes, where the rows hold some of these alone: its
            threshold is of that confidence.
    """
    answers = _answers_of(pairs)
    if answers is None:
        return None
    ranked = np.sort(answers.confidence)[::-1]
    points = min(STEPS, len(ranked))
    thresholds = np.array([least_confidence(ranked, step / points) for step in range(1, points + 1)])
    # every clip counts at all thresholds that its confidence reaches: from its first one on
    first = np.searchsorted(-thresholds, -answers.confidence, side="left")
    wrong = answers.said != answers.truth
    sums = np.stack([_tally(answers, first, weights, points) for weights in (np.ones(len(wrong)), wrong)], axis=-1)
    totals = np.bincount(answers.clusters)
    whole = np.concatenate([sums, np.broadcast_to(totals[:, None, None], (*sums.shape[:2], 1))], axis=-1)
    curve = ClusterBootstrap(whole, resamples=resamples, seed=seed)
    answered, mistaken, everyone = (curve.total[..., column] for column in range(3))
    levels = [least_confidence(ranked, share) for share in COVERAGES]
    promised = None
    if calibration is not None and calibration.thresholds:
        kept = [u.utterance_id for u, there in zip(pairs.utterances, pairs.has_class, strict=True) if there]
        sure = answers if own is None else replace(answers, confidence=np.array([own[key] for key in kept]))
        promised = sure.above(calibration.threshold(PROMISED), resamples=resamples, seed=seed)
    return Abstention(
        answered / everyone,
        ratio(mistaken, answered),
        np.maximum(0.0, answered - (everyone - mistaken[-1])) / answered,
        curve.estimate(_area),
        tuple(answers.above(threshold, resamples=resamples, seed=seed) for threshold in levels),
        promised,
    )


@dataclass(frozen=True)
class _Answers:
    """The rows that have a class, each of shape (rows,); clusters are numbered without gaps."""

    truth: IntArray
    said: IntArray
    confidence: FloatArray
    clusters: IntArray
    cluster_count: int
    classes: int

    def above(self, threshold: float, *, resamples: int, seed: int) -> OperatingPoint:
        """The scores of the clips at and above a threshold; no answer is one more column of the confusion matrix."""
        matrices = confusion_matrices(
            self.truth,
            np.where(self.confidence >= threshold, self.said, self.classes),
            classes=self.classes + 1,
            groups=self.clusters,
            group_count=self.cluster_count,
        )
        bootstrap = ClusterBootstrap(matrices, resamples=resamples, seed=seed)
        return OperatingPoint(
            float(threshold),
            bootstrap.estimate(lambda sums: ratio(sums[..., :-1].sum(axis=(-1, -2)), sums.sum(axis=(-1, -2)))),
            bootstrap.estimate(lambda sums: accuracy_of(sums[..., :-1, :-1]), within=UNIT),
            bootstrap.estimate(lambda sums: uar_of(sums[..., :-1, :-1]), within=UNIT),
        )


def _answers_of(pairs: Pairs) -> _Answers | None:
    kept = pairs.has_class
    if not pairs.classes or not kept.any():
        return None
    probabilities = pairs.probabilities[kept]
    clusters, count = recoded(pairs.clusters[kept])
    return _Answers(
        pairs.truth[kept],
        probabilities.argmax(axis=1),
        probabilities.max(axis=1),
        clusters,
        count,
        len(pairs.classes),
    )


def _tally(answers: _Answers, first: IntArray, weights: FloatArray, points: int) -> FloatArray:
    """Sums of weights by cluster at each point, (clusters, points), of clips that count from their first point on."""
    count = answers.cluster_count
    cells = np.bincount(answers.clusters * points + first, weights=weights, minlength=count * points)
    return cells.reshape(count, points).cumsum(axis=1)


def _area(sums: FloatArray) -> FloatArray:
    """Area under the risk-coverage curve, from sums (..., points, 3): each clip's risk when it is first answered."""
    answered, wrong, everyone = sums[..., 0], sums[..., 1], sums[..., 2]
    shares = ratio(answered, everyone)
    steps = np.diff(shares, axis=-1, prepend=0.0)
    risk = ratio(wrong, answered)
    return np.where(np.isfinite(risk), risk * steps, 0.0).sum(axis=-1)


def temperature_notes(pairs: Pairs, calibration: Calibration | None) -> tuple[str, ...]:
    """Notes on the effect of the model's temperature on these probabilities."""
    kept = pairs.has_class
    if calibration is None or calibration.temperature == 1.0 or not pairs.classes or not kept.any():
        return ()
    truth, probabilities = pairs.truth[kept], pairs.probabilities[kept]
    before = with_temperature(probabilities, 1 / calibration.temperature)  # undoes it
    losses = [negative_log_likelihood(truth, table) for table in (before, probabilities)]
    errors = [expected_calibration_error(truth, table) for table in (before, probabilities)]
    return (
        f"The temperature of the probabilities is {calibration.temperature:.2f}, fitted on the development split"
        f" (whose own calibration figures are therefore optimistic). On these utterances that takes the log loss from"
        f" {losses[0]:.3f} to {losses[1]:.3f} and the calibration error from {errors[0]:.3f} to {errors[1]:.3f}."
        + (" With so high a temperature its confidence says next to nothing." if calibration.temperature > 10 else ""),
    )
