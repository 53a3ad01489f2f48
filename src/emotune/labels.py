"""Label spaces: emotion classes as nouns, dimensions by name with their scale, and mappings between them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from emotune.errors import CorpusError, quoted

CLASSES = (
    "anger",
    "happiness",
    "sadness",
    "neutral",
    "fear",
    "disgust",
    "surprise",
    "contempt",
    "calm",
    "boredom",
    "excitement",
    "frustration",
    "other",
)
"""The class names that emotune's own readers use, in the order in which they are listed."""

_WORDS = {
    "anger": "angry ang",
    "happiness": "happy hap joy joyful",
    "sadness": "sad",
    "neutral": "neu neutrality",
    "fear": "fearful fea afraid anxiety",
    "disgust": "disgusted dis",
    "surprise": "surprised sur ps",
    "contempt": "contemptuous",
    "calm": "calmness",
    "boredom": "bored",
    "excitement": "excited exc",
    "frustration": "frustrated fru",
    "other": "oth",
}
_NOUN = {word: noun for noun, words in _WORDS.items() for word in (noun, *words.split())}


def class_noun(word: str) -> str:
    """The noun that stands for a corpus's own emotion word; a word we do not know stays, in lower case.

    >>> class_noun("Angry"), class_noun("stress")
    ('anger', 'stress')
    """
    plain = word.strip().lower()
    return _NOUN.get(plain, plain)


def in_class_order(names: Iterable[str]) -> tuple[str, ...]:
    """Names without repeats, known classes first in our order, then others alphabetically."""
    rank = {name: position for position, name in enumerate(CLASSES)}
    return tuple(sorted(set(names), key=lambda name: (rank.get(name, len(rank)), name)))


@dataclass(frozen=True)
class Scale:
    """The interval on which a dimension was annotated, ``low`` < ``high``."""

    low: float
    high: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise CorpusError(f"A scale needs finite low < high, got {self.low} and {self.high}.")

    def to_unit(self, value: float) -> float:
        """The value on this scale, mapped to [0, 1]."""
        return (value - self.low) / (self.high - self.low)

    def from_unit(self, value: float) -> float:
        """A value in [0, 1], mapped back to this scale."""
        return self.low + value * (self.high - self.low)


@dataclass(frozen=True)
class LabelSpace:
    """What a model predicts: classes in a fixed order and dimensions by name, each with its scale."""

    classes: tuple[str, ...] = ()
    dimensions: Mapping[str, Scale] = field(default_factory=dict)

    def to_json(self) -> dict[str, object]:
        return {
            "classes": list(self.classes),
            "dimensions": {name: [float(scale.low), float(scale.high)] for name, scale in self.dimensions.items()},
        }

    @classmethod
    def from_json(cls, data: Mapping[str, object]) -> LabelSpace:
        classes = data.get("classes", [])
        dimensions = data.get("dimensions", {})
        if not isinstance(classes, list) or not isinstance(dimensions, dict):
            raise CorpusError("A label space needs 'classes' (a list) and 'dimensions' (name: [low, high]).")
        scales = {}
        wrong = [name for name in classes if not isinstance(name, str) or not name or classes.count(name) > 1]
        if wrong:
            raise CorpusError(f"The classes of a label space must be different names, got {quoted(wrong[0])}.")
        for name, bounds in dimensions.items():
            if not (isinstance(bounds, list) and len(bounds) == 2 and all(type(b) in (int, float) for b in bounds)):
                raise CorpusError(f"The scale of dimension '{name}' must be [low, high], got {quoted(bounds)}.")
            scales[str(name)] = Scale(float(bounds[0]), float(bounds[1]))
        return cls(tuple(classes), scales)
