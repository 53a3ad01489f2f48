"""Scores of what a sequence model wrote, with intervals over speakers."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from emotune.evaluation.statistics.bootstrap import ClusterBootstrap, Estimate, cluster_codes
from emotune.metrics.classes import uar_of
from emotune.metrics.division import FloatArray
from emotune.metrics.sequences import (
    label_scores,
    slot_counts,
    slot_f1,
    symbol_error_rate,
    symbol_errors,
    word_error_rate,
    word_errors,
)
from emotune.models.sequences.spoken_task import Writes

LOWER_IS_BETTER = ("wer", "per")


def score_answers(
    writes: Writes,
    truth: Sequence[Sequence[str]],
    answers: Sequence[Sequence[str]],
    speakers: Sequence[str | None],
    *,
    resamples: int = 1000,
) -> dict[str, Estimate]:
    """Figures of one task: UAR and accuracy, WER, PER, or F1 and the share of clips whose slots are all right.

    Args:
        writes: the kind of answer.
        truth: the parts of each clip's answer: a label, its symbols, slots or words.
        answers: of the model.
        speakers: of each clip; None where unknown.
        resamples: of the bootstrap over speakers; 0 = no intervals.
    """
    same = np.array([[list(a) == list(b), 1] for a, b in zip(truth, answers, strict=True)], dtype=float)
    joined = [[" ".join(parts) for parts in of] for of in (truth, answers)]

    def estimate(value: float, sums: FloatArray, measure: Callable[[FloatArray], FloatArray]) -> Estimate:
        if not resamples or not math.isfinite(value):
            return Estimate(value)
        codes = cluster_codes(speakers)
        of_speakers = np.zeros((int(codes.max()) + 1, *sums.shape[1:]))
        np.add.at(of_speakers, codes, sums)
        found = ClusterBootstrap(of_speakers, resamples=resamples).estimate(measure)
        return Estimate(value, found.low, found.high)

    if writes == "label":
        found = label_scores(*joined)
        labels = sorted({*joined[0], *joined[1]})
        codes = [np.array([labels.index(label) for label in of]) for of in joined]
        each = np.zeros((len(truth), len(labels), len(labels)))
        each[np.arange(len(truth)), codes[0], codes[1]] = 1
        return {"uar": estimate(found["uar"], each, uar_of), "accuracy": estimate(found["accuracy"], same, _share)}
    if writes == "slots":
        counts = np.array([slot_counts(a, b) for a, b in zip(truth, answers, strict=True)], dtype=float)
        exact = float(same[:, 0].mean())
        return {"f1": estimate(slot_f1(truth, answers), counts, _f1), "exact": estimate(exact, same, _share)}
    name, rate, errors = (
        ("wer", word_error_rate, word_errors) if writes == "text" else ("per", symbol_error_rate, symbol_errors)
    )
    sums = np.array([errors(a, b) for a, b in zip(*joined, strict=True)], dtype=float)
    return {name: estimate(rate(*joined), sums, _share)}


def goodness(name: str, value: float) -> float:
    """A figure so that greater is better and 1 is perfect: error rates become 1 - rate.

    >>> goodness("wer", 0.25), goodness("uar", 0.5)
    (0.75, 0.5)
    """
    return 1 - value if name in LOWER_IS_BETTER else value


def _share(sums: FloatArray) -> FloatArray:
    with np.errstate(invalid="ignore", divide="ignore"):
        return sums[..., 0] / sums[..., 1]


def _f1(sums: FloatArray) -> FloatArray:
    """From sums of right, expected and found slots."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return 2 * sums[..., 0] / (sums[..., 1] + sums[..., 2])
