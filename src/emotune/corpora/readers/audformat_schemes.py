"""Columns and schemes of an audformat database, mapped to fields of a manifest."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from emotune.corpora.base import is_split_name, split_name
from emotune.corpora.tables.rows import DIMENSION_NAMES
from emotune.errors import TableError, quoted
from emotune.io.tables import read_rows
from emotune.schema.gender import gender_name
from emotune.schema.labels import CLASSES, Scale, class_noun
from emotune.schema.utterance import GENDERS

FACTS = {
    "speaker": ("speaker",),
    "gender": ("gender", "sex"),
    "age": ("age",),
    "language": ("language",),
    "text": ("transcription", "transcript", "text"),
    "session": ("session",),
}
"""For each field, what columns and schemes that hold it are called."""

_NAME_KEYS = ("name", "label", "emotion", "category", "class")


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
    """Dimension -> scheme of the first column that holds it."""
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
    """Split of a table, from its own attribute or a word of its name (``emotion.train.gold_standard``)."""
    split = database.tables[table].split_id
    words = [database.splits[split].type, split] if split else re.split(r"[._-]", table)
    return next((split_name(word) for word in words if is_split_name(word)), None)


def descriptions(database: Any, scheme: str | None) -> Mapping[Any, Any]:
    """Descriptions of a scheme's labels, from the scheme or the table that it names."""
    labels = database.schemes[scheme].labels if scheme else None
    if isinstance(labels, str):
        frame = database[labels].get().astype(object)
        return frame.where(frame.notna(), None).to_dict("index")
    return labels if isinstance(labels, Mapping) else {}


def emotion_words(described: Mapping[Any, Any]) -> dict[Any, str]:
    """The emotions that codes stand for, as in ``{0: anger}`` or ``{"A": {"name": "anger"}}``; none for plain words.

    >>> emotion_words({0: "anger", 1: "stress"}), emotion_words({"anger": "is cross"})
    ({0: 'anger', 1: 'stress'}, {})
    """
    names = {code: name for code, description in described.items() if (name := _name_in(description)) is not None}
    are_numbers = all(str(code).isdecimal() for code in described)
    said_by_names, said_by_codes = (sum(map(_is_emotion, words)) for words in (names.values(), described))
    return names if are_numbers or said_by_names > said_by_codes else {}


def _name_in(description: Any) -> str | None:
    """The name in what a scheme tells of a label: under a key for one, else the only emotion, in whatever languages."""
    if isinstance(description, str):
        return description
    if not isinstance(description, Mapping):
        return None
    named = next((description[key] for key in _NAME_KEYS if isinstance(description.get(key), str)), None)
    emotions = {class_noun(value): value for value in description.values() if _is_emotion(value)}
    return named if named is not None else next(iter(emotions.values())) if len(emotions) == 1 else None


def _is_emotion(word: Any) -> bool:
    return isinstance(word, str) and class_noun(word) in CLASSES


def lost_values(database: Any, table: str, frame: Any) -> Iterator[tuple[Any, str]]:
    """Index and reason of each value outside the labels of its scheme: the library loads it as missing."""
    files = [Path(database.root) / f"db.{table}.{suffix}" for suffix in ("pkl", "parquet", "csv")]
    stored = next((path for path in files if path.is_file()), None)
    columns = {
        name: column.scheme_id
        for name, column in database.tables[table].columns.items()
        if column.scheme_id and database.schemes[column.scheme_id].labels and frame[name].isna().any()
    }
    if stored is None or stored.suffix == ".pkl" or not columns:
        return
    try:
        rows = read_rows(stored)
    except TableError:  # what the library's own reader took
        return
    missing = importlib.import_module("pyarrow.csv").ConvertOptions().null_values
    for name, scheme in columns.items() if len(rows) == len(frame) else ():
        known = ", ".join(map(str, islice(descriptions(database, scheme) or database.schemes[scheme].labels, 20)))
        for index, row, is_lost in zip(frame.index, rows, frame[name].isna(), strict=True):
            value = row.get(name)
            if is_lost and value is not None and str(value) not in missing:
                yield (
                    index,
                    f"{quoted(str(value))} in column '{name}' of table '{table}' is no label of its scheme '{scheme}'"
                    f" ({known}), so it counts as missing",
                )


def facts_said(fact: str, value: Any, description: Any) -> dict[str, Any]:
    """A fact, and what the description of its value adds: a speaker's gender, a code's sentence."""
    if isinstance(description, str) and (fact == "text" or (fact == "gender" and _is_gender_code(value, description))):
        return {fact: description}
    said = description if isinstance(description, Mapping) else {}
    others = {other: said[name] for other, names in FACTS.items() for name in names if said.get(name) is not None}
    return {**others, fact: value}


def _is_gender_code(value: Any, description: str) -> bool:
    return gender_name(str(value)) not in GENDERS and gender_name(description) in GENDERS


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
