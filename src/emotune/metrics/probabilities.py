"""Metrics of probabilities: calibration error, Brier score and negative log-likelihood; smaller is better."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from emotune.metrics.division import FloatArray, IntArray, ratio

BINS = 10
"""Bins of equal width over the confidence, the probability of the most probable class."""

_SMALLEST = 1e-12


def confidence_bins(
    truth: ArrayLike, probabilities: ArrayLike, *, groups: IntArray, group_count: int, bins: int = BINS
) -> FloatArray:
    """Count, sum of confidence and number of hits in each bin of confidence, shape (groups, bins, 3).

    A bin holds the confidences above its lower edge, up to and with its upper one. Groups may be added to each other.

    Raises:
        ValueError: if the shapes do not fit or a class has no column.
    """
    true, table = _checked(truth, probabilities)
    confidence: FloatArray = table.max(axis=1, initial=0.0)
    hit = table.argmax(axis=1) == true
    edges = np.linspace(0.0, 1.0, bins + 1)[1:-1]
    cell = np.asarray(groups) * bins + np.searchsorted(edges, confidence, side="left")
    size = group_count * bins
    columns = [
        np.bincount(cell, weights=weights, minlength=size) for weights in (np.ones_like(confidence), confidence, hit)
    ]
    return np.stack(columns, axis=-1).astype(np.float64).reshape(group_count, bins, 3)


def calibration_error_of(bins: FloatArray) -> FloatArray:
    """Expected calibration error of each stack of bins (..., bins, 3), shape (...)."""
    gaps = np.abs(bins[..., 1] - bins[..., 2])
    return ratio(gaps.sum(axis=-1), bins[..., 0].sum(axis=-1))


def expected_calibration_error(truth: ArrayLike, probabilities: ArrayLike, *, bins: int = BINS) -> float:
    """Mean gap between confidence and accuracy over bins of confidence, in [0, 1]; NaN without utterances.

    Args:
        truth: class indices, shape (utterances,).
        probabilities: shape (utterances, classes), rows summing to one.
        bins: how many bins of equal width.

    Raises:
        ValueError: if the shapes do not fit or a class has no column.

    Reference:
        Guo et al. (2017), On Calibration of Modern Neural Networks, eq. 3.

    >>> round(expected_calibration_error([0, 1], [[0.9, 0.1], [0.7, 0.3]]), 3)
    0.4
    """
    everyone = np.zeros(len(np.asarray(truth)), dtype=np.int64)
    return float(
        calibration_error_of(confidence_bins(truth, probabilities, groups=everyone, group_count=1, bins=bins)[0])
    )


def brier_losses(truth: ArrayLike, probabilities: ArrayLike) -> FloatArray:
    """Squared distance of each utterance's probabilities from the truth as one-hot, shape (utterances,), in [0, 2].

    Raises:
        ValueError: if the shapes do not fit or a class has no column.
    """
    true, table = _checked(truth, probabilities)
    return np.square(table - np.eye(table.shape[1])[true]).sum(axis=1)


def log_losses(truth: ArrayLike, probabilities: ArrayLike) -> FloatArray:
    """Minus the natural logarithm of the true class's probability, shape (utterances,); at most 27.6 (1e-12).

    Raises:
        ValueError: if the shapes do not fit or a class has no column.
    """
    true, table = _checked(truth, probabilities)
    return -np.log(np.clip(table[np.arange(len(true)), true], _SMALLEST, 1.0))


def brier_score(truth: ArrayLike, probabilities: ArrayLike) -> float:
    """Mean squared distance of the probabilities from certainty of the truth, in [0, 2]; NaN without utterances.

    Summed over classes, as Brier (1950) has it; for two classes, twice what the one-column form gives.

    Raises:
        ValueError: if the shapes do not fit or a class has no column.

    Reference:
        Brier (1950), Verification of Forecasts Expressed in Terms of Probability, Monthly Weather Review 78(1).

    >>> round(brier_score([0, 1], [[0.9, 0.1], [0.7, 0.3]]), 3)
    0.5
    """
    return _mean(brier_losses(truth, probabilities))


def negative_log_likelihood(truth: ArrayLike, probabilities: ArrayLike) -> float:
    """Mean of minus the natural logarithm of the true class's probability, at least 0; NaN without utterances.

    Raises:
        ValueError: if the shapes do not fit or a class has no column.

    Reference:
        Good (1952), Rational Decisions, Journal of the Royal Statistical Society B 14(1).

    >>> round(negative_log_likelihood([0, 1], [[0.9, 0.1], [0.7, 0.3]]), 3)
    0.655
    """
    return _mean(log_losses(truth, probabilities))


def _mean(values: FloatArray) -> float:
    return float(ratio(values.sum(), np.asarray(len(values))))


def _checked(truth: ArrayLike, probabilities: ArrayLike) -> tuple[IntArray, FloatArray]:
    true, table = np.asarray(truth), np.asarray(probabilities, dtype=float)
    if not len(true):
        return np.zeros(0, dtype=np.int64), np.zeros((0, table.shape[1] if table.ndim == 2 else 1))
    if true.ndim != 1 or table.ndim != 2 or len(true) != len(table):
        raise ValueError(
            f"Expected truth (utterances,) and probabilities (utterances, classes), not {true.shape} and {table.shape}."
        )
    if not np.issubdtype(true.dtype, np.integer) or true.min() < 0 or true.max() >= table.shape[1]:
        raise ValueError(f"Classes must be integer indices from 0 to {table.shape[1] - 1}.")
    return true.astype(np.int64), table
