"""Student's t distribution without scipy, for intervals over few speakers."""

from __future__ import annotations

import math
from functools import lru_cache
from statistics import NormalDist

_LARGE = 2000
"""From here on the normal distribution serves; the quantiles differ by less than .002."""


def t_cdf(value: float, degrees: int) -> float:
    """Cumulative distribution function of Student's t.

    Reference:
        Abramowitz and Stegun (1964), Handbook of Mathematical Functions, 26.7.3 and 26.7.4.

    >>> round(t_cdf(1.0, 1), 6)
    0.75
    """
    angle = math.atan(value / math.sqrt(degrees))
    sine, cosine = math.sin(angle), math.cos(angle)
    odd = degrees % 2
    term, total = (cosine if odd else 1.0), 0.0
    for step in range(2 + odd, degrees + 1, 2):
        total += term
        term *= cosine * cosine * (step - 1) / step
    within = (angle + sine * total) * 2 / math.pi if odd else sine * total
    return 0.5 + within / 2


@lru_cache(maxsize=256)
def t_quantile(probability: float, degrees: int) -> float:
    """Quantile of Student's t, by bisection of ``t_cdf``.

    Args:
        probability: above 0 and below 1.
        degrees: of freedom, at least 1.

    >>> round(t_quantile(0.975, 9), 3)
    2.262
    """
    assert 0 < probability < 1 and degrees >= 1
    if degrees >= _LARGE:
        return NormalDist().inv_cdf(probability)
    if probability < 0.5:
        return -t_quantile(1 - probability, degrees)
    low, high = 0.0, 1.0
    while t_cdf(high, degrees) < probability:
        high *= 2
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if t_cdf(middle, degrees) < probability else (low, middle)
    return (low + high) / 2
