"""Agreement of a prediction in fewer bits with the exact one, over the first clips."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from emotune.inference.items import Item
from emotune.inference.loading import load
from emotune.inference.predictor import Predictor
from emotune.runtime.listener import Listener
from emotune.schema.predictions import Predictions

CLIPS = 8
"""Compared before a prediction."""


@dataclass(frozen=True)
class Agreement:
    """Differences of one model's answers in two precisions.

    Args:
        precision: that was asked for.
        clips: compared.
        probability: largest difference of one; 0 where there are none.
        dimension: the same, in the unit of each dimension.
        changed: clips whose most probable class is another.
    """

    precision: str
    clips: int
    probability: float
    dimension: float
    changed: int

    @classmethod
    def of(cls, precision: str, exact: Predictions, found: Predictions) -> Agreement:
        """Compares tables of the same clips; those with an error in either are left out."""
        pairs = [
            (one, other) for one, other in zip(exact, found, strict=True) if one.error is None and other.error is None
        ]
        return cls(
            precision,
            len(pairs),
            max((_distance(one.probabilities, other.probabilities) for one, other in pairs), default=0.0),
            max((_distance(one.dimensions, other.dimensions) for one, other in pairs), default=0.0),
            sum(one.most_probable != other.most_probable for one, other in pairs),
        )

    def in_words(self) -> str:
        """One sentence."""
        if not self.clips:
            return f"{self.precision}: no clip to compare with exact numbers"
        parts = [f"probabilities differ from exact ones by at most {self.probability:.4f}"]
        parts += [f"dimensions by {self.dimension:.4f}"] if self.dimension else []
        clips = "the first clip" if self.clips == 1 else f"the first {self.clips} clips"
        return f"{self.precision}: over {clips} {', '.join(parts)}; {self.changed} change their class"

    def to_json(self) -> dict[str, Any]:
        """As it is kept with the predictions."""
        return {
            "name": self.precision,
            "clips": self.clips,
            "largest_difference_of_a_probability": self.probability,
            "largest_difference_of_a_dimension": self.dimension,
            "classes_changed": self.changed,
        }


def agreement_with_exact(
    predictor: Predictor, model: str, items: Iterable[Item], loading: Mapping[str, Any], listener: Listener
) -> Agreement | None:
    """Predicts the first items exactly too, and says how far the answers are apart; None for exact prediction.

    Args:
        predictor: loaded with ``loading``.
        model: as ``emotune.load`` has it.
        items: to be predicted; no more than the first are taken.
        loading: options of ``emotune.load``.
        listener: told of it.
    """
    precision = loading.get("precision", "fp32")
    if precision == "fp32":
        return None
    first: Sequence[Item] = list(islice(items, CLIPS))
    options: dict[str, Any] = {**loading, "precision": "fp32", "workers": None}
    exact = load(model, **options)
    agreement = Agreement.of(precision, exact.predict_items(first), predictor.predict_items(first))
    listener.say(agreement.in_words())
    return agreement


def _distance(one: Mapping[str, float], other: Mapping[str, float]) -> float:
    return max((abs(value - other[name]) for name, value in one.items()), default=0.0)
