"""Offsets of a system's class logits: p'_c proportional to p_c exp(b_c), from a prior or fitted on development."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotune.errors import ConfigError
from emotune.fusion.answers import stack_answers, task_space, truth_of
from emotune.fusion.development_parts import in_two
from emotune.fusion.fuse import labelled_part
from emotune.fusion.objective import CCC, CLASS_METRICS, check_metric
from emotune.metrics.classes import confusion_matrix
from emotune.metrics.division import FloatArray
from emotune.schema.manifest import Manifest
from emotune.schema.predictions import Prediction, Predictions
from emotune.schema.prior import SMALLEST, with_offsets

_FARTHEST = 5.0
_STARTS = 4
_ROUNDS = 20
_GAIN = 1e-9


def shifted(predictions: Predictions, offsets: Mapping[str, float]) -> Predictions:
    """Predictions with p'_c proportional to p_c exp(b_c); failed rows and dimensions stay as they are.

    What a model abstained from by its former confidence is answered, since that confidence is another now, and
    the table is no longer what the model itself says, so it loses the model's fingerprint.

    Raises:
        ConfigError: when the offsets are not of the table's classes.
    """
    classes = predictions.label_space.classes
    if set(offsets) != set(classes):
        raise ConfigError(
            f"Offsets are of {', '.join(offsets)}, the table's classes are {', '.join(classes) or 'none'}."
        )
    shift = np.array([offsets[name] for name in classes])

    def answer(row: Prediction) -> Prediction:
        if not row.probabilities:
            return row
        values = with_offsets([[row.probabilities[name] for name in classes]], shift)[0].tolist()
        return dataclasses.replace(row, probabilities=dict(zip(classes, values, strict=True)), uncertain=False)

    return dataclasses.replace(predictions, rows=tuple(answer(row) for row in predictions), model_fingerprint=None)


@dataclass(frozen=True)
class Thresholds:
    """Offsets that were fitted on one part of development.

    Args:
        offsets: class -> offset, 0 for the first class.
        metric: what they were fitted for.
        fitted_on: the figure before and after on the part for fitting, where the gain is optimistic.
        reported_on: the same on the other part.
        utterances: of both parts.
        notes: what should be known of the parts.
    """

    offsets: Mapping[str, float]
    metric: str
    fitted_on: tuple[float, float]
    reported_on: tuple[float, float]
    utterances: tuple[int, int]
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain data for a JSON file."""
        parts = zip(("fitted_on", "reported_on"), (self.fitted_on, self.reported_on), self.utterances, strict=True)
        return {
            "offsets": dict(self.offsets),
            "metric": self.metric,
            **{name: {"utterances": count, "before": pair[0], "after": pair[1]} for name, pair, count in parts},
            "notes": list(self.notes),
        }


def fit_thresholds(
    truth: Manifest, development: Predictions, *, metric: str = "macro_f1", seed: int = 0, fit_share: float = 0.5
) -> Thresholds:
    """Offsets for a figure of classes, fitted on one part of development and reported on the other.

    Args:
        truth: the development split.
        development: the system's predictions of it.
        metric: macro_f1, uar or accuracy.
        seed: of the parting and the search.
        fit_share: of the utterances, to fit on.

    Raises:
        ConfigError: for another metric.
        CorpusError: when development has no classes.
        TableError: when the table lacks an utterance or has no classes.
    """
    check_metric(metric)
    if metric == CCC:
        raise ConfigError(f"Thresholds are of classes: --metric must be one of {', '.join(CLASS_METRICS)}.")
    named = {"the table": development}
    space = task_space(named, of_classes=True)
    labelled = labelled_part(truth, space)
    answered = stack_answers(named, space, [u.utterance_id for u in labelled]).answered[0]
    kept = labelled.replace_utterances([u for u, there in zip(labelled, answered, strict=True) if there])
    fit_part, report_part, notes = in_two(kept, fit_share=fit_share, seed=seed)
    found: FloatArray = np.zeros(0)
    scores, counts = [], []
    for part in (fit_part, report_part):
        probabilities = stack_answers(named, space, [u.utterance_id for u in part]).values[0]
        logits, classes = np.log(np.maximum(probabilities, SMALLEST)), truth_of(part, space).astype(np.int64)
        if part is fit_part:
            found = best_offsets(classes, logits, metric=metric, seed=seed)
        scores.append((_score(classes, logits, metric), _score(classes, logits + found, metric)))
        counts.append(len(part))
    offsets = dict(zip(space.classes, found.tolist(), strict=True))
    return Thresholds(offsets, metric, scores[0], scores[1], (counts[0], counts[1]), notes)


def best_offsets(truth: NDArray[np.int64], logits: FloatArray, *, metric: str, seed: int) -> FloatArray:
    """Offsets b that maximise a figure of argmax(logits + b), shape (classes,), no step of the search beyond 5.

    One class after the other gets the best offset given those of the others. That line search is exact: the figure
    changes only where an utterance goes over to the class, so it is computed between any two such places, and the
    middle of the best stretch is taken, the one nearest to the present offset among equals. Rounds over the classes, in
    seeded order and from several starts, go on while they gain; the first class then has offset 0.

    Args:
        truth: class indices, shape (utterances,).
        logits: shape (utterances, classes).
        metric: of ``CLASS_METRICS``.
        seed: of starts and order.
    """
    generator = np.random.default_rng(seed)
    classes = logits.shape[1]
    best, best_value = np.zeros(classes), _score(truth, logits, metric)
    for start in range(_STARTS):
        offsets = np.zeros(classes) if start == 0 else generator.normal(0, 0.5, classes)
        value = _score(truth, logits + offsets, metric)
        for _ in range(_ROUNDS):
            before = value
            for column in generator.permutation(classes).tolist():
                offset, reached = _best_offset(truth, logits + offsets, column, metric)
                if reached > value + _GAIN:
                    offsets[column], value = offsets[column] + offset, reached
            if value <= before + _GAIN:
                break
        if value > best_value + _GAIN:
            best, best_value = offsets, value
    return best - best[0]


def _best_offset(truth: NDArray[np.int64], logits: FloatArray, column: int, metric: str) -> tuple[float, float]:
    """Best offset of one class's logits, and the score that it gives."""
    classes = logits.shape[1]
    others = np.delete(np.arange(classes), column)
    rival = others[logits[:, others].argmax(axis=1)]
    needed = logits[np.arange(len(truth)), rival] - logits[:, column]  # from here on an utterance goes over
    order = np.argsort(needed)
    needed, true, rival = needed[order], truth[order], rival[order]
    cells = np.arange(len(truth)) + 1
    counts = np.zeros((len(truth) + 1, classes, classes))
    counts[0] = confusion_matrix(truth[order], rival, classes=classes)
    counts[cells, true, column] += 1
    counts[cells, true, rival] -= 1
    figures = CLASS_METRICS[metric](np.cumsum(counts, axis=0))
    edges = np.concatenate([[-_FARTHEST], np.clip(needed, -_FARTHEST, _FARTHEST), [_FARTHEST]])
    wide = np.diff(edges) > 1e-9
    middles = (edges[:-1] + edges[1:]) / 2
    value = figures[wide].max()
    ties = np.flatnonzero(wide & (figures >= value - _GAIN))
    chosen = ties[np.abs(middles[ties]).argmin()]
    return float(middles[chosen]), float(figures[chosen])


def _score(truth: NDArray[np.int64], logits: FloatArray, metric: str) -> float:
    return float(CLASS_METRICS[metric](confusion_matrix(truth, logits.argmax(axis=1), classes=logits.shape[1])))
