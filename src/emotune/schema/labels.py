"""Label spaces: emotion classes as nouns, dimensions by name with their scale, and mappings between them."""

from __future__ import annotations

import math
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeGuard, cast

from emotune.errors import CorpusError, quoted
from emotune.schema.emotion_words import class_of_word

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
ENGLISH = {word: noun for noun, words in _WORDS.items() for word in (noun, *words.split())}
"""English words and usual abbreviations -> class."""

RESERVED = {
    "utterance_id", "file", "start_s", "end_s", "duration_s", "content_sha256", "copy_of", "corpus", "speaker",
    "session", "gender", "gender_predicted", "age", "language", "text", "text_predicted", "split", "emotion",
    "emotion_original", "conditions_used", "condition", "channel", "warning", "error", "confidence",
    "uncertain", "p", "votes", "given",
}  # fmt: skip
"""Words that no class and no dimension may have: the columns of our tables, and the answer of a model that abstains."""

RESERVED_PREFIXES = ("p.", "votes.", "given.")

_FARTHEST, _CLOSEST = 1e9, 1e-9


def class_noun(word: str) -> str:
    """The noun that stands for a corpus's own emotion word; a word we do not know stays, in lower case.

    Known are English words and those of ``emotion_words.yaml``. One spelling stands for all that look alike: composed
    letters, single spaces.

    >>> class_noun("Angry"), class_noun("stress"), class_noun("Cold  Anger"), class_noun("Wut")
    ('anger', 'stress', 'cold anger', 'anger')
    """
    plain = plain_word(word)
    return ENGLISH.get(plain) or class_of_word().get(plain, plain)


def plain_word(word: str) -> str:
    """A word with composed letters, in lower case, with single spaces."""
    return " ".join(unicodedata.normalize("NFC", word).lower().split())


def in_class_order(names: Iterable[str]) -> tuple[str, ...]:
    """Names without repeats, known classes first in our order, then others alphabetically."""
    rank = {name: position for position, name in enumerate(CLASSES)}
    return tuple(sorted(set(names), key=lambda name: (rank.get(name, len(rank)), name)))


@dataclass(frozen=True)
class Scale:
    """The interval on which a dimension was annotated, ``low`` < ``high``.

    Raises:
        CorpusError: for what is no interval, or one so wide or narrow that values on it overflow or melt together.
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise CorpusError(f"A scale needs finite low < high, got {self.low} and {self.high}.")
        if max(abs(self.low), abs(self.high)) > _FARTHEST or self.high - self.low < _CLOSEST:
            raise CorpusError(
                f"A scale lies between -{_FARTHEST:g} and {_FARTHEST:g} and is at least {_CLOSEST:g} long, got"
                f" [{self.low}, {self.high}]. Give the ends between which people rated, such as 1 and 7."
            )

    def to_unit(self, value: float) -> float:
        """The value on this scale, mapped to [0, 1]."""
        return (value - self.low) / (self.high - self.low)

    def from_unit(self, value: float) -> float:
        """A value in [0, 1], mapped back to this scale; what lies outside becomes the nearer end."""
        return self.clamp(self.low + value * (self.high - self.low))

    def clamp(self, value: float) -> float:
        """The value, or the nearer end of the scale for one that lies outside."""
        return min(max(value, self.low), self.high)


@dataclass(frozen=True)
class LabelSpace:
    """Classes in a fixed order, and dimensions by name, each with its scale: the predictions of a model.

    Raises:
        CorpusError: for a name that is empty, given twice, or a word that our tables need for themselves.
    """

    classes: tuple[str, ...] = ()
    dimensions: Mapping[str, Scale] = field(default_factory=dict[str, Scale])

    def __post_init__(self) -> None:
        counts = Counter(self.classes)
        for name in self.classes:
            if not name.strip() or counts[name] > 1:
                raise CorpusError(f"The classes of a label space must be different names, got {name!r}.")
            cure = (
                f"Rename it where the corpus is read, with --map '{name}=NAME', or leave it out with --drop '{name}'."
            )
            _refuse_reserved("class", name, cure)
        for name in self.dimensions:
            if not name.strip():
                raise CorpusError("A dimension of a label space has no name.")
            _refuse_reserved("dimension", name, f"Call it otherwise: --column 'NAME={name}' --scale NAME=LOW:HIGH.")

    def to_json(self) -> dict[str, object]:
        """Plain data for a metadata file."""
        return {
            "classes": list(self.classes),
            "dimensions": {name: [float(scale.low), float(scale.high)] for name, scale in self.dimensions.items()},
        }

    @classmethod
    def from_json(cls, data: Mapping[str, object]) -> LabelSpace:
        """Reads the output of ``to_json``.

        Raises:
            CorpusError: if it is no label space.
        """
        found, scales_found = data.get("classes", []), data.get("dimensions", {})
        if not isinstance(found, list) or not isinstance(scales_found, dict):
            raise CorpusError("A label space needs 'classes' (a list) and 'dimensions' (name: [low, high]).")
        classes, dimensions = cast(list[Any], found), cast(dict[Any, Any], scales_found)
        scales: dict[str, Scale] = {}
        wrong = [name for name in classes if not isinstance(name, str)]
        if wrong:
            raise CorpusError(f"The classes of a label space must be different names, got {quoted(wrong[0])}.")
        for name, bounds in dimensions.items():
            if not (_is_list(bounds) and len(bounds) == 2 and all(type(b) in (int, float) for b in bounds)):
                raise CorpusError(f"The scale of dimension '{name}' must be [low, high], got {quoted(bounds)}.")
            try:
                scales[str(name)] = Scale(float(bounds[0]), float(bounds[1]))
            except OverflowError as error:  # a whole number of hundreds of digits
                raise CorpusError(f"The scale of dimension '{name}' has ends that are no usable numbers.") from error
        return cls(tuple(classes), scales)


def _is_list(value: object) -> TypeGuard[list[Any]]:
    return isinstance(value, list)


def _refuse_reserved(what: str, name: str, cure: str) -> None:
    plain = name.strip().lower()
    if plain in RESERVED or plain.startswith(RESERVED_PREFIXES):
        raise CorpusError(f"A {what} cannot be called '{name}': our tables need that word for themselves. {cure}")
