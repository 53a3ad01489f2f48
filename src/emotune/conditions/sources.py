"""Sources of a condition's values, and the models that make those that lack; nothing here needs a recipe."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

GIVEN, PREDICTED, UNKNOWN, WRONG = "given", "predicted", "unknown", "wrong"
SOURCES = {
    GIVEN: "what the corpus or the user says; where that is missing, what is predicted",
    PREDICTED: "what is predicted, whatever the corpus says",
    UNKNOWN: "nothing, as where neither is there",
}
Known = Mapping[str, str]
"""Column of a manifest -> value, without those that are unknown; an empty predicted value was looked for and is not
there, such as the text of a clip without words."""
Identity = Mapping[str, Any]
"""A helper as a model's config keeps it, so that it is found again: ``name``, ``revision``, and what else it takes."""
LoadModel = Callable[[str], Any]
"""A name to a ``Predictor`` of emotune, for a condition that a model of emotune predicts."""


@dataclass(frozen=True)
class Helper:
    """A model that a condition needs, by the words that others have for it.

    Args:
        key: in the condition's section of a recipe and in a model's config.
        argument: of the user who puts another in its place, among ``helpers`` of ``emotune.load``.
        words: for messages, such as "speech recogniser".
        information: what a manifest's information calls it where it filled the predicted column.
    """

    key: str
    argument: str
    words: str
    information: str = ""
