"""Scores of predictions against a manifest: quickly, each epoch (``scores``), or in full (``evaluate``)."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from emotune.evaluation.abstention import abstention_of, temperature_notes
from emotune.evaluation.fairness import fairness_of
from emotune.evaluation.groups import CORPUS, groups_of
from emotune.evaluation.notes import notes_of, unheard_note
from emotune.evaluation.pairs import Pairs, pair
from emotune.evaluation.result import (
    CalibrationScores,
    ClassScores,
    ConfidenceBin,
    DimensionScores,
    Evaluation,
    Group,
)
from emotune.evaluation.statistics.bootstrap import UNIT, ClusterBootstrap, Estimate, mean_estimate, recoded
from emotune.evaluation.vote_scores import VOTE_SIMILARITY, score_votes, vote_similarity
from emotune.metrics.classes import (
    accuracy_of,
    confusion_matrices,
    f1s_of,
    macro_f1_of,
    macro_f1_true_classes_of,
    precisions_of,
    recalls_of,
    supports_of,
    uar_of,
)
from emotune.metrics.dimensions import ccc_of, grouped_moments, pearson_of, rmse_of
from emotune.metrics.division import FloatArray, ratio
from emotune.metrics.probabilities import BINS, brier_losses, calibration_error_of, confidence_bins, log_losses
from emotune.schema.calibration import Calibration
from emotune.schema.manifest import Manifest
from emotune.schema.predictions import Predictions

Measure = Callable[[FloatArray], NDArray]
CLASS_MEASURES: dict[str, Measure] = {
    "uar": uar_of,
    "macro_f1": macro_f1_of,
    "macro_f1_true_classes": macro_f1_true_classes_of,
    "micro_f1": accuracy_of,
    "accuracy": accuracy_of,
}
GROUP_METRICS = ("uar", "macro_f1", "accuracy", "ccc")


def scores(manifest: Manifest, predictions: Predictions) -> dict[str, float]:
    """Overall scores alone, without intervals: quick enough for each epoch.

    Keys: ``uar``, ``macro_f1``, ``macro_f1_true_classes``, ``micro_f1`` and ``accuracy`` when classes are scored;
    ``ccc.<dimension>``, ``pearson.<dimension>``, ``rmse.<dimension>`` (on the scale of the annotation) and ``ccc``, the
    mean over the dimensions, when there are some; ``vote_similarity``, one less the mean Jensen-Shannon divergence from
    the votes, where there are votes. Failed predictions are left out, as in ``evaluate``.

    Raises:
        EmotuneError: as ``evaluate`` does.
    """
    overall = _overall(pair(manifest, predictions), resamples=0, seed=0)
    similarity = vote_similarity(manifest, predictions)
    against_votes = {} if similarity is None else {VOTE_SIMILARITY: similarity}
    return {name: score.value for name, score in overall.items()} | against_votes


def evaluate(
    manifest: Manifest,
    predictions: Predictions,
    *,
    resamples: int = 1000,
    seed: int = 0,
    calibration: Calibration | None = None,
    unrestricted: Predictions | None = None,
) -> Evaluation:
    """Scores predictions with intervals, by class, corpus, gender, speaker and duration, with notes on their limits.

    Intervals are 95 % expanded percentile intervals of a bootstrap over speakers. The calibration error has none: noise
    only adds to a mean of absolute gaps, so its resamples lie too high. Utterances whose prediction failed are left out
    of all figures, counted and named; a note gives the figures that they would have if counted as wrong. Utterances
    with votes but no label count in ``votes`` alone.

    Args:
        manifest: the truth.
        predictions: what the model says; an utterance with a truth needs a row.
        resamples: of the bootstrap; 0 for no intervals.
        seed: of the bootstrap.
        calibration: of the model, whose threshold for abstaining is then tried; None where it is not known.
        unrestricted: what the model said over all its classes, where ``predictions`` hold some of them alone.

    Raises:
        CorpusError: when the manifest holds a class that the model does not know, or nothing that could be scored.
        TableError: when an utterance with a truth has no row among the predictions.
        ModelError: when not one prediction can be used.
    """
    pairs = pair(manifest, predictions)
    confusion = _class_bootstrap(pairs, resamples=resamples, seed=seed)
    evaluation = Evaluation(
        utterances=len(manifest),
        scored=len(pairs),
        speakers=len({speaker for speaker in pairs.speakers if speaker is not None}),
        clusters=len(np.unique(pairs.clusters)),
        classes=pairs.classes,
        confusion=confusion.total.astype(np.int64),
        overall=_overall(pairs, resamples=resamples, seed=seed),
        per_class=_per_class(pairs, confusion),
        calibration=_calibration(pairs, resamples=resamples, seed=seed) if pairs.classes else None,
        dimensions=_dimensions(pairs, resamples=resamples, seed=seed),
        groups=_groups(pairs, resamples=resamples, seed=seed),
        corpora_mean=_corpora_mean(pairs, resamples=resamples, seed=seed),
        not_scored=pairs.not_scored,
        notes=(),
        resamples=resamples,
        seed=seed,
        abstention=abstention_of(
            pairs, calibration=calibration, own=_confidences(unrestricted), resamples=resamples, seed=seed
        ),
        votes=score_votes(manifest, predictions, resamples=resamples, seed=seed),
        fairness=fairness_of(pairs, resamples=resamples, seed=seed),
    )
    notes = (*unheard_note(predictions, pairs), *notes_of(evaluation, pairs), *temperature_notes(pairs, calibration))
    return dataclasses.replace(evaluation, notes=notes)


def _confidences(predictions: Predictions | None) -> dict[str, float] | None:
    if predictions is None:
        return None
    return {row.utterance_id: max(row.probabilities.values(), default=math.nan) for row in predictions}


def _class_bootstrap(pairs: Pairs, *, resamples: int, seed: int) -> ClusterBootstrap:
    kept = pairs.has_class
    codes, count = recoded(pairs.clusters[kept])
    matrices = confusion_matrices(
        pairs.truth[kept], pairs.prediction[kept], classes=len(pairs.classes), groups=codes, group_count=count
    )
    return ClusterBootstrap(matrices, resamples=resamples, seed=seed)


def _dimension_bootstrap(pairs: Pairs, *, resamples: int, seed: int) -> ClusterBootstrap:
    """Moments of all dimensions together, shape (clusters, dimensions, 8), so that their mean has an interval too."""
    truths = [pairs.dimension_truth[name] for name in pairs.dimensions]
    valid = [np.isfinite(truth) for truth in truths]
    some = np.any(valid, axis=0)
    cluster_of_row = np.zeros(len(pairs), dtype=np.int64)
    cluster_of_row[some], count = recoded(pairs.clusters[some])
    moments = [
        grouped_moments(
            truth[kept], pairs.dimension_prediction[name][kept], groups=cluster_of_row[kept], group_count=count
        )
        for name, truth, kept in zip(pairs.dimensions, truths, valid, strict=True)
    ]
    return ClusterBootstrap(np.stack(moments, axis=1), resamples=resamples, seed=seed)


def _overall(pairs: Pairs, *, resamples: int, seed: int) -> dict[str, Estimate]:
    found: dict[str, Estimate] = {}
    if pairs.classes:
        confusion = _class_bootstrap(pairs, resamples=resamples, seed=seed)
        found.update({name: confusion.estimate(measure, within=UNIT) for name, measure in CLASS_MEASURES.items()})
    if pairs.dimensions:
        moments = _dimension_bootstrap(pairs, resamples=resamples, seed=seed)
        found["ccc"] = moments.estimate(lambda sums: ccc_of(sums).mean(axis=-1))
        for metric, measure in (("ccc", ccc_of), ("pearson", pearson_of), ("rmse", rmse_of)):
            for name, score in zip(pairs.dimensions, moments.estimates(measure), strict=True):
                found[f"{metric}.{name}"] = score
    return found


def _per_class(pairs: Pairs, confusion: ClusterBootstrap) -> tuple[ClassScores, ...]:
    if not pairs.classes:
        return ()
    total = confusion.total
    columns = (
        supports_of(total),
        total.sum(axis=0),
        confusion.estimates(recalls_of, within=UNIT),
        precisions_of(total),
        f1s_of(total),
    )
    return tuple(
        ClassScores(name, int(support), int(predicted), recall, float(precision), float(f1))
        for name, support, predicted, recall, precision, f1 in zip(pairs.classes, *columns, strict=True)
    )


def _calibration(pairs: Pairs, *, resamples: int, seed: int) -> CalibrationScores:
    kept = pairs.has_class
    truth, probabilities = pairs.truth[kept], pairs.probabilities[kept]
    codes, count = recoded(pairs.clusters[kept])
    sums = [np.bincount(codes, minlength=count).astype(float)]
    sums += [np.bincount(codes, weights=f(truth, probabilities), minlength=count) for f in (brier_losses, log_losses)]
    losses = ClusterBootstrap(np.stack(sums, axis=-1), resamples=resamples, seed=seed)
    brier, log_loss = losses.estimates(lambda s: ratio(s[..., 1:], s[..., :1]))
    counted = confidence_bins(truth, probabilities, groups=codes, group_count=count)
    total = counted.sum(axis=0)
    means = ratio(total[:, 1:], total[:, :1])
    return CalibrationScores(
        Estimate(float(calibration_error_of(total))),
        brier,
        log_loss,
        tuple(
            ConfidenceBin(n / BINS, (n + 1) / BINS, int(total[n, 0]), float(means[n, 0]), float(means[n, 1]))
            for n in range(BINS)
        ),
    )


def _dimensions(pairs: Pairs, *, resamples: int, seed: int) -> tuple[DimensionScores, ...]:
    if not pairs.dimensions:
        return ()
    moments = _dimension_bootstrap(pairs, resamples=resamples, seed=seed)
    found = [moments.estimates(measure) for measure in (ccc_of, pearson_of, rmse_of)]
    scored = []
    for (name, scale), ccc, pearson, rmse in zip(pairs.dimensions.items(), *found, strict=True):
        kept = np.isfinite(pairs.dimension_truth[name])
        truth, prediction = pairs.dimension_truth[name][kept], pairs.dimension_prediction[name][kept]
        scored.append(DimensionScores(name, scale, len(truth), ccc, pearson, rmse, truth, prediction))
    return tuple(scored)


def _groups(pairs: Pairs, *, resamples: int, seed: int) -> tuple[Group, ...]:
    found = []
    for by, name, rows in groups_of(pairs):
        part = pairs.take(rows)
        present = np.unique(part.truth[part.has_class])
        every = _overall(part, resamples=resamples, seed=seed)
        found.append(
            Group(
                by,
                name,
                len(part),
                len({speaker for speaker in part.speakers if speaker is not None}),
                tuple(part.classes[index] for index in present),
                {key: score for key, score in every.items() if key in GROUP_METRICS or key.startswith("ccc.")},
            )
        )
    return tuple(found)


def _corpora_mean(pairs: Pairs, *, resamples: int, seed: int) -> dict[str, Estimate]:
    """Means of the corpora's scores; a corpus without the truth that a score needs is in no mean of it."""
    parts = [pairs.take(rows) for by, _, rows in groups_of(pairs) if by == CORPUS]
    found: dict[str, Estimate] = {}
    labelled = [part for part in parts if part.has_class.any()]
    if pairs.classes and len(labelled) > 1:
        of_classes = [_class_bootstrap(part, resamples=resamples, seed=seed + n) for n, part in enumerate(labelled)]
        found |= {
            name: mean_estimate(of_classes, CLASS_MEASURES[name], within=UNIT)
            for name in GROUP_METRICS
            if name != "ccc"
        }
    rated = [part for part in parts if all(np.isfinite(v).any() for v in part.dimension_truth.values())]
    if pairs.dimensions and len(rated) > 1:
        of_values = [_dimension_bootstrap(part, resamples=resamples, seed=seed + n) for n, part in enumerate(rated)]
        found["ccc"] = mean_estimate(of_values, lambda sums: ccc_of(sums).mean(axis=-1))
    return found
