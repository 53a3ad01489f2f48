"""What a model gains by not answering where it is not sure: risk against coverage, and its own threshold tried."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from emotune.calibration import Calibration, with_temperature
from emotune.evaluation.bootstrap import ClusterBootstrap, Estimate
from emotune.evaluation.pairs import Pairs
from emotune.metrics.classes import uar_of
from emotune.metrics.division import FloatArray, IntArray, ratio
from emotune.metrics.probabilities import expected_calibration_error, negative_log_likelihood

COVERAGES = (1.0, 0.9, 0.8, 0.7, 0.5)
PROMISED = 0.8
"""The coverage at which the threshold of the development split is tried."""
STEPS = 100
"""Points of the risk-coverage curve."""


@dataclass(frozen=True)
class Answered:
    """The clips whose confidence is at least ``threshold``: their share, and how well they are answered."""

    threshold: float
    coverage: Estimate
    accuracy: Estimate
    uar: Estimate

    @property
    def wrong(self) -> float:
        """The share of wrong answers."""
        return 1 - self.accuracy.value

    def to_json(self) -> dict[str, object]:
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
    levels: tuple[Answered, ...]
    promised: Answered | None

    def to_json(self) -> dict[str, object]:
        return {
            "curve": {"coverage": self.coverage.tolist(), "risk": self.risk.tolist()},
            "area_under_risk_coverage": self.area.to_json(),
            "levels": [item.to_json() for item in self.levels],
            "promised": None if self.promised is None else {"share": PROMISED, **self.promised.to_json()},
        }


def abstention_of(
    pairs: Pairs, *, calibration: Calibration | None = None, resamples: int, seed: int
) -> Abstention | None:
    """Risk and coverage of the rows that have a class, with intervals over speakers; None without such rows.

    Intervals hold the thresholds fixed: they say how other speakers would fare under them.

    Args:
        calibration: of the model, for its own threshold; None where it is not known.
    """
    kept = pairs.has_class
    if not pairs.classes or not kept.any():
        return None
    truth, probabilities = pairs.truth[kept], pairs.probabilities[kept]
    confidence, said = probabilities.max(axis=1), probabilities.argmax(axis=1)
    _, clusters = np.unique(pairs.clusters[kept], return_inverse=True)
    ranked = np.sort(confidence)[::-1]
    points = min(STEPS, len(ranked))
    thresholds = np.array([ranked[math.ceil(len(ranked) * step / points) - 1] for step in range(1, points + 1)])
    # every clip counts at all thresholds that its confidence reaches: from its first one on
    first = np.searchsorted(-thresholds, -confidence, side="left")
    sums = np.stack([_tally(clusters, first, weights, points) for weights in (np.ones(len(truth)), said != truth)], -1)
    totals = np.bincount(clusters)
    whole = np.concatenate([sums, np.broadcast_to(totals[:, None, None], (*sums.shape[:2], 1))], axis=-1)
    curve = ClusterBootstrap(whole, resamples=resamples, seed=seed)
    answered, wrong, everyone = (curve.total[..., column] for column in range(3))
    shares = answered / everyone
    mistakes = wrong[-1]
    return Abstention(
        shares,
        ratio(wrong, answered),
        np.maximum(0.0, answered - (everyone - mistakes)) / answered,
        curve.estimate(_area),
        tuple(
            _answered(
                ranked[math.ceil(len(ranked) * share) - 1], confidence, truth, said, clusters, pairs, resamples, seed
            )
            for share in COVERAGES
        ),
        None
        if calibration is None or not calibration.thresholds
        else _answered(calibration.threshold(PROMISED), confidence, truth, said, clusters, pairs, resamples, seed),
    )


def _tally(clusters: IntArray, first: IntArray, weights: FloatArray, points: int) -> FloatArray:
    """Sums of weights by cluster at each point, (clusters, points), of clips that count from their first point on."""
    count = int(clusters.max()) + 1
    cells = np.bincount(clusters * points + first, weights=np.asarray(weights, float), minlength=count * points)
    return cells.reshape(count, points).cumsum(axis=1)


def _area(sums: FloatArray) -> FloatArray:
    """Under risk over coverage, from sums (..., points, 3): each clip's risk at the threshold that first answers it."""
    answered, wrong, everyone = sums[..., 0], sums[..., 1], sums[..., 2]
    shares = ratio(answered, everyone)
    steps = np.diff(shares, axis=-1, prepend=0.0)
    risk = ratio(wrong, answered)
    return np.where(np.isfinite(risk), risk * steps, 0.0).sum(axis=-1)


def _answered(
    threshold: float,
    confidence: FloatArray,
    truth: IntArray,
    said: IntArray,
    clusters: IntArray,
    pairs: Pairs,
    resamples: int,
    seed: int,
) -> Answered:
    """The scores of the clips at and above a threshold; a cluster has a confusion matrix and how many it left out."""
    classes, count = len(pairs.classes), int(clusters.max()) + 1
    above = confidence >= threshold
    cells = (clusters[above] * classes + truth[above]) * classes + said[above]
    matrices = np.bincount(cells, minlength=count * classes**2).reshape(count, classes**2)
    left_out = np.bincount(clusters[~above], minlength=count)
    bootstrap = ClusterBootstrap(np.column_stack([matrices, left_out]), resamples=resamples, seed=seed)

    def confusion(sums: FloatArray) -> FloatArray:
        return sums[..., :-1].reshape(*sums.shape[:-1], classes, classes)

    def hits(sums: FloatArray) -> FloatArray:
        return np.trace(confusion(sums), axis1=-2, axis2=-1)

    return Answered(
        float(threshold),
        bootstrap.estimate(lambda sums: ratio(sums[..., :-1].sum(axis=-1), sums.sum(axis=-1))),
        bootstrap.estimate(lambda sums: ratio(hits(sums), sums[..., :-1].sum(axis=-1))),
        bootstrap.estimate(lambda sums: uar_of(confusion(sums))),
    )


def temperature_notes(pairs: Pairs, calibration: Calibration | None) -> tuple[str, ...]:
    """What the model's temperature did to these probabilities."""
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
        f" {losses[0]:.3f} to {losses[1]:.3f} and the calibration error from {errors[0]:.3f} to {errors[1]:.3f}.",
    )
