"""What the columns and schemes of an audformat database mean. A database is the library's object."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator, Mapping
from typing import Any

from emotune.corpora.base import is_split_name, split_name
from emotune.corpora.rows import DIMENSION_NAMES
from emotune.labels import Scale

FACTS = {
    "speaker": ("speaker",),
    "gender": ("gender", "sex"),
    "age": ("age",),
    "language": ("language",),
    "text": ("transcription", "transcript", "text"),
    "session": ("session",),
}
"""For each field, what columns and schemes that hold it are called."""


def fact_of(name: str, column: Any) -> str | None:
    """The field that a column holds, when it is one of ``FACTS``."""
    return next((fact for fact, names in FACTS.items() if _is_called(name, column, names)), None)


def emotion_scheme(database: Any) -> str | None:
    """The scheme (or, without one, the column) of the emotions: of that name, else the only one that has labels."""
    for name, column in _columns(database):
        if _is_called(name, column, ("emotion",)):
            return column.scheme_id or name
    other = tuple(name for names in (*FACTS.values(), *DIMENSION_NAMES.values()) for name in names)
    labelled = {
        column.scheme_id
        for name, column in _columns(database)
        if column.scheme_id and database.schemes[column.scheme_id].labels and not _is_called(name, column, other)
    }
    return labelled.pop() if len(labelled) == 1 else None


def dimension_schemes(database: Any) -> dict[str, str]:
    """For each dimension, the scheme of the first column that holds it."""
    schemes = {}
    for dimension, names in DIMENSION_NAMES.items():
        for name, column in _columns(database):
            if column.scheme_id and _is_called(name, column, names):
                schemes.setdefault(dimension, column.scheme_id)
    return schemes


def scale_of(scheme: Any) -> Scale | None:
    """The scheme's minimum and maximum, when it has both."""
    low, high = scheme.minimum, scheme.maximum
    return None if low is None or high is None else Scale(float(low), float(high))


def split_of(database: Any, table: str) -> str | None:
    """What a table is for, by its own split or by a word of its name (``emotion.train.gold_standard``)."""
    split = database.tables[table].split_id
    words = [database.splits[split].type, split] if split else re.split(r"[._-]", table)
    return next((split_name(word) for word in words if is_split_name(word)), None)


def descriptions(database: Any, scheme: str | None) -> Mapping[Any, Any]:
    """What a scheme, or the table that it names, tells of each of its labels."""
    labels = database.schemes[scheme].labels if scheme else None
    if isinstance(labels, str):
        frame = database[labels].get().astype(object)
        return frame.where(frame.notna(), None).to_dict("index")
    return labels if isinstance(labels, Mapping) else {}


def facts_said(fact: str, value: Any, description: Any) -> dict[str, Any]:
    """A fact, and what the description of its value adds: a speaker's gender, a code's sentence."""
    if fact == "text" and isinstance(description, str):
        return {fact: description}
    said = description if isinstance(description, Mapping) else {}
    others = {other: said[name] for other, names in FACTS.items() for name in names if said.get(name) is not None}
    return {**others, fact: value}


def language_tag(word: str) -> str:
    """The two letters of a language, where it has such; audformat states three."""
    library = importlib.import_module("iso639")
    try:
        return library.Lang(word).pt1 or word
    except library.exceptions.InvalidLanguageValue:
        return word


def _columns(database: Any) -> Iterator[tuple[str, Any]]:
    for table in database.tables.values():
        yield from table.columns.items()


def _is_called(name: str, column: Any, names: tuple[str, ...]) -> bool:
    return name.lower() in names or str(column.scheme_id or "").lower() in names
