"""Divisions and means in which the undefined is NaN, without a warning and without a silent 0."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
NumberArray = NDArray[np.number[Any]]  # counts or weighted sums of them


def ratio(numerator: NumberArray, denominator: NumberArray) -> FloatArray:
    """Elementwise ``numerator / denominator``, of one shape; NaN wherever the denominator is not above zero.

    >>> ratio(np.array([1.0, 1.0]), np.array([2.0, 0.0]))
    array([0.5, nan])
    """
    above, below = np.broadcast_arrays(np.asarray(numerator, np.float64), np.asarray(denominator, np.float64))
    return np.divide(above, below, out=np.full(above.shape, np.nan), where=below > 0)


def mean_of_defined(values: FloatArray, defined: NDArray[np.bool_]) -> FloatArray:
    """Mean over the last axis of the entries that are defined, shape (..., n) -> (...); NaN where none is.

    >>> float(mean_of_defined(np.array([0.5, np.nan, 1.0]), np.array([True, False, True])))
    0.75
    """
    return ratio(np.where(defined, values, 0.0).sum(axis=-1), defined.sum(axis=-1))
