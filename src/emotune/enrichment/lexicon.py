"""Emotion of a text by the words in it: the simplest reader, which everything cleverer has to beat."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Sequence
from functools import cache
from importlib.resources import files

import yaml

_WORD = re.compile(r"[a-z]+(?:'[a-z]+)?")
_NEGATIONS = frozenset(["not", "no", "never", "without", "hardly", "cannot"])
_REACH = 3
"""Words before an emotional one among which a negation silences it."""


def _content() -> str:
    return files("emotune.enrichment").joinpath("lexicon.yaml").read_text(encoding="utf-8")


@cache
def _entries() -> tuple[dict[str, str], dict[str, str]]:
    """Entries: whole words, or pairs of words joined by _, -> class, and stems -> class."""
    content = yaml.safe_load(_content())
    entries = [(entry, name) for name, words in content.items() for entry in words.split()]
    whole = {entry: name for entry, name in entries if not entry.endswith("*")}
    return whole, {entry[:-1]: name for entry, name in entries if entry.endswith("*")}


@cache
def lexicon_hash() -> str:
    """Hash of the list: answers that are kept are those of this one."""
    return hashlib.sha256(_content().encode()).hexdigest()[:16]


def lexicon_classes() -> tuple[str, ...]:
    """Classes that the lexicon has words for."""
    whole, stems = _entries()
    return tuple(dict.fromkeys([*whole.values(), *stems.values()]))


def emotional_words(text: str, classes: Sequence[str]) -> Counter[str]:
    """Counts the emotional words of an English text by class, negated ones left out.

    Args:
        text: in English; of another language it holds few words that are found.
        classes: that are counted.

    >>> emotional_words("She was furious, and I am not happy.", ["anger", "happiness"])
    Counter({'anger': 1})
    """
    words = _WORD.findall(text.lower().replace("’", "'"))
    found: Counter[str] = Counter()
    for place, word in enumerate(words):
        name = _class_of(word) or _class_of(f"{word}_{words[place + 1]}" if place + 1 < len(words) else "")
        before = words[max(0, place - _REACH) : place]
        if (
            name is not None
            and name in classes
            and not any(earlier in _NEGATIONS or earlier.endswith("n't") for earlier in before)
        ):
            found[name] += 1
    return found


def emotion_of_text(text: str | None, classes: Sequence[str]) -> str | None:
    """Class with the most emotional words; None without one, or for a tie.

    >>> emotion_of_text("Dogs are sitting by the door.", ["anger", "sadness"])
    """
    ranked = emotional_words(text or "", classes).most_common(2)
    if not ranked or (len(ranked) == 2 and ranked[0][1] == ranked[1][1]):
        return None
    return ranked[0][0]


def _class_of(word: str) -> str | None:
    whole, stems = _entries()
    if word in whole:
        return whole[word]
    return next((stems[word[:length]] for length in range(len(word), 2, -1) if word[:length] in stems), None)
