"""Word error rate of a speech recogniser."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class WordErrors:
    """Words substituted, left out and put in, over the words of the truth, summed over utterances."""

    errors: int
    words: int
    utterances: int

    @property
    def rate(self) -> float:
        """Errors a word, which may exceed 1; NaN without a word."""
        return self.errors / self.words if self.words else float("nan")


def word_errors(pairs: Iterable[tuple[str, str]]) -> WordErrors:
    """Word errors of (truth, recognised) pairs, each by its least edits (Levenshtein); case and punctuation aside.

    Numbers are not spelt out: ``7`` for ``seven`` is an error.

    Reference:
        Levenshtein (1966), Binary Codes Capable of Correcting Deletions, Insertions and Reversals.

    >>> errors = word_errors([("Kids are talking by the door.", "kids are walking by door")])
    >>> errors.errors, errors.words, round(errors.rate, 3)
    (2, 6, 0.333)
    """
    errors = words = utterances = 0
    for truth, recognised in pairs:
        expected = plain_words(truth)
        errors += _edits(expected, plain_words(recognised))
        words += len(expected)
        utterances += 1
    return WordErrors(errors, words, utterances)


def plain_words(text: str) -> list[str]:
    """The words of a text in lower case without punctuation, apostrophes inside words kept.

    >>> plain_words("Don’t — you HEAR me?")
    ["don't", 'you', 'hear', 'me']
    """
    plain = unicodedata.normalize("NFKC", text).replace("’", "'").casefold()
    return re.findall(r"\w+(?:'\w+)*", plain)


def _edits(first: list[str], second: list[str]) -> int:
    before = list(range(len(second) + 1))
    for row, expected in enumerate(first, start=1):
        now = [row]
        for column, found in enumerate(second, start=1):
            now.append(min(before[column] + 1, now[-1] + 1, before[column - 1] + (expected != found)))
        before = now
    return before[-1]
