"""Schedules of the learning rate: a pure function of the step, so that nothing needs to be stored to go on."""

from __future__ import annotations

import math
from typing import Literal

Schedule = Literal["cosine", "linear", "constant_with_warmup"]


def rate_factor(schedule: Schedule, step: int, *, total: int, warmup: int) -> float:
    """Factor of a learning rate at a step, counted from 0.

    It rises from 0 over ``warmup`` steps; then it stays, or falls to 0 at ``total`` in a line or half a cosine.

    >>> [rate_factor("linear", step, total=6, warmup=2) for step in range(7)]
    [0.0, 0.5, 1.0, 0.75, 0.5, 0.25, 0.0]
    """
    if step < warmup:
        return step / warmup
    if schedule == "constant_with_warmup":
        return 1.0
    done = (step - warmup) / max(1, total - warmup)
    return max(0.0, 1 - done if schedule == "linear" else 0.5 * (1 + math.cos(math.pi * done)))
