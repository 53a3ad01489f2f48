"""One degradation against the same clips as they are: paired differences, changed answers, honest confidence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emotune.evaluation.pairs import Pairs, pair
from emotune.evaluation.robustness.degradations import Degradation
from emotune.evaluation.statistics.bootstrap import UNIT, ClusterBootstrap, Estimate, recoded
from emotune.metrics.classes import accuracy_of, confusion_matrices, recalls_of, supports_of, uar_of
from emotune.metrics.dimensions import ccc_of, grouped_moments
from emotune.metrics.division import FloatArray, ratio
from emotune.schema.manifest import Manifest
from emotune.schema.predictions import Predictions


@dataclass(frozen=True)
class DegradationEffect:
    """Effect of a degradation on a model, over the clips with a usable prediction both with and without it.

    Args:
        name: of the degradation.
        degradation: what it is.
        clips: how many clips are compared.
        failed: how many predictions failed under the degradation.
        speakers: how many known speakers the compared clips have.
        chance: the UAR of guessing; NaN without classes.
        scores: ``uar``, ``accuracy`` and ``ccc``, as far as they are defined, under the degradation.
        differences: the same, less those of the same clips as they are: below 0 is a loss.
        recalls: class -> recall under the degradation; NaN for a class that the truth lacks.
        changed: share of clips whose most probable class is another one; NaN without classes.
        confidence: mean probability of the most probable class; NaN without classes.
        clean_confidence: that of the same clips as they are.
    """

    name: str
    degradation: Degradation
    clips: int
    failed: int
    speakers: int
    chance: float
    scores: Mapping[str, Estimate]
    differences: Mapping[str, Estimate]
    recalls: Mapping[str, float]
    changed: Estimate
    confidence: float
    clean_confidence: float


def effect_of(
    name: str,
    degradation: Degradation,
    manifest: Manifest,
    clean: Predictions,
    degraded: Predictions,
    *,
    resamples: int = 1000,
    seed: int = 0,
) -> DegradationEffect:
    """Compares predictions under a degradation with those of the clean clips.

    Intervals come from the same draws of speakers for both, so that what makes a speaker easy or hard cancels.

    Raises:
        CorpusError: when the manifest holds nothing that could be scored.
        ModelError: when not one of the predictions can be used.
    """
    before, after = _common(pair(manifest, clean), pair(manifest, degraded))
    scores: dict[str, Estimate] = {}
    differences: dict[str, Estimate] = {}
    changed, recalls, chance = Estimate(float("nan")), {}, float("nan")
    if before.classes:
        sums = ClusterBootstrap(_confusions(before, after), resamples=resamples, seed=seed)
        for metric, measure in (("uar", uar_of), ("accuracy", accuracy_of)):
            scores[metric] = sums.estimate(lambda s, of=measure: of(s[..., 1, :, :]), within=UNIT)
            differences[metric] = sums.estimate(lambda s, of=measure: of(s[..., 1, :, :]) - of(s[..., 0, :, :]))
        recalls = dict(zip(before.classes, recalls_of(sums.total[1]).tolist(), strict=True))
        chance = float(ratio(np.array(1.0), np.array(np.count_nonzero(supports_of(sums.total[1])))))
        answers = ClusterBootstrap(_answers(before, after), resamples=resamples, seed=seed)
        changed = answers.estimate(lambda s: ratio(s[..., 1], s[..., 0]))
    if before.dimensions:
        sums = ClusterBootstrap(_moments(before, after), resamples=resamples, seed=seed)
        scores["ccc"] = sums.estimate(lambda s: ccc_of(s[..., 1, :, :]).mean(axis=-1))
        differences["ccc"] = sums.estimate(
            lambda s: ccc_of(s[..., 1, :, :]).mean(axis=-1) - ccc_of(s[..., 0, :, :]).mean(axis=-1)
        )
    return DegradationEffect(
        name,
        degradation,
        len(before),
        len(degraded.failed),
        len({speaker for speaker in before.speakers if speaker is not None}),
        chance,
        scores,
        differences,
        recalls,
        changed,
        _confidence(after),
        _confidence(before),
    )


def _common(before: Pairs, after: Pairs) -> tuple[Pairs, Pairs]:
    """The rows of the utterances that both have, in the order of the first."""
    place = {utterance.utterance_id: row for row, utterance in enumerate(after.utterances)}
    rows = [
        (row, place[utterance.utterance_id])
        for row, utterance in enumerate(before.utterances)
        if utterance.utterance_id in place
    ]
    first, second = np.array(rows, dtype=np.int64).reshape(-1, 2).T
    return before.take(first), after.take(second)


def _confusions(before: Pairs, after: Pairs) -> NDArray:
    """Confusion matrices, shape (clusters, 2, classes, classes): as they are, and under the degradation."""
    kept = before.has_class
    codes, count = recoded(before.clusters)
    matrices = [
        confusion_matrices(
            before.truth[kept],
            side.prediction[kept],
            classes=len(before.classes),
            groups=codes[kept],
            group_count=count,
        )
        for side in (before, after)
    ]
    return np.stack(matrices, axis=1)


def _answers(before: Pairs, after: Pairs) -> NDArray:
    """Clips and changed answers of each cluster, shape (clusters, 2)."""
    codes, count = recoded(before.clusters)
    changed = (before.prediction != after.prediction).astype(float)
    return np.stack([np.bincount(codes, weights=w, minlength=count) for w in (np.ones_like(changed), changed)], axis=1)


def _moments(before: Pairs, after: Pairs) -> FloatArray:
    """Moments, shape (clusters, 2, dimensions, 8): as they are, and under the degradation."""
    codes, count = recoded(before.clusters)
    sides = []
    for side in (before, after):
        each = []
        for name, truth in before.dimension_truth.items():
            kept = np.isfinite(truth)
            each.append(
                grouped_moments(
                    truth[kept], side.dimension_prediction[name][kept], groups=codes[kept], group_count=count
                )
            )
        sides.append(np.stack(each, axis=1))
    return np.stack(sides, axis=1)


def _confidence(pairs: Pairs) -> float:
    """Mean over the clips that have a class."""
    kept = pairs.has_class
    return float(ratio(pairs.probabilities[kept].max(axis=1).sum(), kept.sum())) if kept.any() else float("nan")
