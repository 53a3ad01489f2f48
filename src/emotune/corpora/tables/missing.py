"""Words that stand for a missing value in tables that others made: NA, nan, NULL, - and the like."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

_WORDS = "na n/a n.a. #n/a #na <na> nan -nan nat null (null) \\n none nil - -- --- – — ? ?? ??? ."
_OF_TEXT = "NA N/A n/a <NA> #N/A nan NaN NULL None - -- --- – — ? ?? ???"
"""Words that are no transcript, letter by letter: German has the words 'na' and 'null'."""

_ALSO = ("unknown", "unk", "-1", "-1.0")
_PERSONAL = ("speaker", "session", "age", "language")
_MISSING, _MISSING_TEXT = frozenset(_WORDS.split()), frozenset(_OF_TEXT.split())


@dataclass(frozen=True)
class Missing:
    """A cell that says by a word that its value is missing."""

    field: str
    word: str


def is_missing(value: object, field: str) -> bool:
    """Tells whether a cell says by a word that the value of a field is missing.

    >>> is_missing("N/A", "age"), is_missing("null", "text"), is_missing("unknown", "speaker")
    (True, False, True)
    """
    if isinstance(value, float) and math.isnan(value):
        return True
    if not isinstance(value, str | int | float):
        return False
    word = str(value).strip()
    if field == "text":
        return word in _MISSING_TEXT
    return word.lower() in _MISSING or (field in _PERSONAL and word.lower() in _ALSO)


def known(value: Any, field: str, missing: list[Missing] | None = None) -> Any:
    """The cell, or None where it says that its value is missing, which is noted in ``missing``."""
    if not is_missing(value, field):
        return value
    if missing is not None:
        missing.append(Missing(field, str(value).strip()))
    return None


def counted(missing: Iterable[Missing]) -> dict[str, dict[str, int]]:
    """Field -> word -> number of cells."""
    counts: dict[str, dict[str, int]] = {}
    for (field, word), count in Counter((item.field, item.word) for item in missing).items():
        counts.setdefault(field, {})[word] = count
    return counts
