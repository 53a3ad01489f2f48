"""Figures as a page spells them: three decimals, whole per cents, bounds in brackets, a dash for what is undefined."""

from __future__ import annotations

import math

from emotune.evaluation.statistics.bootstrap import Estimate


def number(value: float) -> str:
    """Three decimals, or a dash for what is undefined.

    >>> number(0.5), number(float("nan"))
    ('0.500', '–')
    """
    return f"{value:.3f}" if math.isfinite(value) else "–"


def signed(value: float) -> str:
    """Three decimals with their sign, or a dash for what is undefined.

    >>> signed(0.5), signed(float("nan"))
    ('+0.500', '–')
    """
    return f"{value:+.3f}" if math.isfinite(value) else "–"


def percent(share: float) -> str:
    """A share in whole per cents, or a dash for what is undefined.

    >>> percent(0.256), percent(float("nan"))
    ('26 %', '–')
    """
    return f"{share:.0%}".replace("%", " %") if math.isfinite(share) else "–"


def interval(score: Estimate, sign: str = "") -> str:
    """The bounds in brackets, or nothing where there are none.

    >>> interval(Estimate(0.5, 0.25, 0.75), "+"), interval(Estimate(0.5))
    ('[+0.250, +0.750]', '')
    """
    return f"[{score.low:{sign}.3f}, {score.high:{sign}.3f}]" if score.has_interval else ""
