"""Divisions and means in which the undefined is NaN, without a warning and without a silent 0."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


def ratio(numerator: NDArray, denominator: NDArray) -> FloatArray:
    """Elementwise ``numerator / denominator``; NaN wherever the denominator is not above zero.

    >>> ratio(np.array([1.0, 1.0]), np.array([2.0, 0.0]))
    array([0.5, nan])
    """
    numerator, denominator = np.broadcast_arrays(np.asarray(numerator, float), np.asarray(denominator, float))
    return np.divide(numerator, denominator, out=np.full(numerator.shape, np.nan), where=denominator > 0)


def mean_of_defined(values: FloatArray, defined: NDArray[np.bool_]) -> FloatArray:
    """Mean over the last axis of the entries that are defined; NaN where none is.

    >>> float(mean_of_defined(np.array([0.5, np.nan, 1.0]), np.array([True, False, True])))
    0.75
    """
    return ratio(np.where(defined, values, 0.0).sum(axis=-1), defined.sum(axis=-1))
