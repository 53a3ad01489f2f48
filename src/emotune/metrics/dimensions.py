"""Metrics of dimensions, all computed from moments, which add up over speakers as confusion matrices do.

Moments are sums over utterances, shape (..., 8): the count; the sums of t, p, t², p² and tp, with t and p the truth and
the prediction, each less its own overall mean, so that nothing is lost to rounding; and the sums of d and d², with d
the prediction less the truth. Functions ``<name>_of`` take any stack of moments and answer for each at once.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from emotune.metrics.division import FloatArray, IntArray, ratio

_ROUNDING = 1e-12


def grouped_moments(truth: ArrayLike, prediction: ArrayLike, *, groups: IntArray, group_count: int) -> FloatArray:
    """Moments of each group, shape (groups, 8); groups of the same call may be added to each other.

    Args:
        truth: annotated values, shape (utterances,).
        prediction: predicted values on the same scale, shape (utterances,).
        groups: each utterance's group, 0 to ``group_count - 1``.
        group_count: how many groups there are.

    Raises:
        ValueError: if the lengths differ.
    """
    true, predicted = np.asarray(truth, dtype=float), np.asarray(prediction, dtype=float)
    if true.shape != predicted.shape or true.ndim != 1:
        raise ValueError(
            f"Truth and prediction must be one-dimensional and equally long, not {true.shape} and {predicted.shape}."
        )
    if not len(true):
        return np.zeros((group_count, 8))
    t, p, d = _centred(true), _centred(predicted), predicted - true
    sums = np.zeros((group_count, 8))
    columns = (np.ones_like(t), t, p, t * t, p * p, t * p, d, d * d)
    for number, column in enumerate(columns):
        sums[:, number] = np.bincount(groups, weights=column, minlength=group_count)
    return sums


def moments(truth: ArrayLike, prediction: ArrayLike) -> FloatArray:
    """Moments of all utterances together, shape (8,).

    Raises:
        ValueError: if the lengths differ.
    """
    everyone = np.zeros(np.asarray(truth).shape, dtype=np.int64)
    return grouped_moments(truth, prediction, groups=everyone, group_count=1)[0]


def ccc_of(moments: FloatArray) -> FloatArray:
    """Concordance correlation coefficient of each set of moments, shape (...)."""
    count, variance_t, variance_p, covariance = _covariances(moments)
    shift = np.square(ratio(moments[..., 6], count))
    spread = variance_t + variance_p + shift
    return np.where(count >= 2, ratio(2 * covariance, spread), np.nan)


def pearson_of(moments: FloatArray) -> FloatArray:
    """Pearson's correlation coefficient of each set of moments, shape (...)."""
    count, variance_t, variance_p, covariance = _covariances(moments)
    correlation = ratio(covariance, np.sqrt(variance_t * variance_p))
    return np.where(count >= 2, np.clip(correlation, -1.0, 1.0), np.nan)


def rmse_of(moments: FloatArray) -> FloatArray:
    """Root mean square error of each set of moments, shape (...)."""
    return np.sqrt(ratio(moments[..., 7], moments[..., 0]))


def ccc(truth: ArrayLike, prediction: ArrayLike) -> float:
    """Concordance correlation coefficient, in [-1, 1].

    Penalises shift and scale, which Pearson's correlation does not. NaN for fewer than two utterances, and where truth
    and prediction are one and the same constant (0 / 0). A constant prediction of a truth that varies has a CCC of 0.
    Both have the shape (utterances,).

    Raises:
        ValueError: if the lengths differ.

    Reference:
        Lin (1989), Biometrics 45(1).

    >>> round(ccc([0.0, 1.0, 2.0], [0.0, 1.0, 1.0]), 3)
    0.667
    """
    return float(ccc_of(moments(truth, prediction)))


def pearson(truth: ArrayLike, prediction: ArrayLike) -> float:
    """Pearson's correlation coefficient, in [-1, 1]; NaN when either is constant or has fewer than two values.

    Both have the shape (utterances,).

    Raises:
        ValueError: if the lengths differ.

    Reference:
        Pearson (1895), Notes on Regression and Inheritance, Proceedings of the Royal Society of London 58.

    >>> round(pearson([0.0, 1.0, 2.0], [0.0, 1.0, 1.0]), 3)
    0.866
    """
    return float(pearson_of(moments(truth, prediction)))


def rmse(truth: ArrayLike, prediction: ArrayLike) -> float:
    """Root mean square error, on the scale of the values, shape (utterances,); NaN without utterances.

    Raises:
        ValueError: if the lengths differ.

    >>> round(rmse([0.0, 1.0, 2.0], [0.0, 1.0, 1.0]), 3)
    0.577
    """
    return float(rmse_of(moments(truth, prediction)))


def _centred(values: FloatArray) -> FloatArray:
    """Values less their mean; exact zeros for a constant, which the mean's rounding would spoil."""
    return values - (values[0] if np.all(values == values[0]) else values.mean())


def _covariances(moments: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Count, the two variances and the covariance (divided by the count); a variance within rounding of 0 is 0."""
    count = moments[..., 0]
    mean_t, mean_p, square_t, square_p, product = (ratio(moments[..., column], count) for column in range(1, 6))
    variance_t, variance_p = square_t - mean_t**2, square_p - mean_p**2
    variance_t = np.where(variance_t > _ROUNDING * square_t, variance_t, 0.0)
    variance_p = np.where(variance_p > _ROUNDING * square_p, variance_p, 0.0)
    varies = (variance_t > 0) & (variance_p > 0)
    return count, variance_t, variance_p, np.where(varies, product - mean_t * mean_p, 0.0)
