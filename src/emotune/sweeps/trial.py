"""Trial of a sweep as it is told: what was tried and what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Told:
    """A trial's end, or that it goes on.

    Args:
        number: in its arm.
        state: complete, pruned, failed or running.
        parameters: key of the recipe -> value.
        score: on development, of the best epoch so far; None where there is none.
        epochs: how many were scored.
        fault: why it failed.
    """

    number: int
    state: str
    parameters: Mapping[str, Any]
    score: float | None
    epochs: int
    fault: str | None


def in_words(parameters: Mapping[str, Any]) -> str:
    """Searched values for people.

    >>> in_words({"train.head_lr": 0.00123456, "train.epochs": 3})
    'train.head_lr 0.00123, train.epochs 3'
    """
    return ", ".join(
        f"{key} {value:.3g}" if isinstance(value, float) else f"{key} {value}" for key, value in parameters.items()
    )
