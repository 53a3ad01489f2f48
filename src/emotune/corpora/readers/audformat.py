"""A database in audformat: ``db.yaml`` and its tables, read by the library of that name (extra ``audformat``).

Emotions come from columns called ``emotion`` or of a scheme so called, else from the only scheme with labels; several
raters' columns are votes. Scales are the schemes' minimum and maximum. ``train``, ``dev`` and ``test`` in the name of a
table, or its split, are the split. The library reads pickled tables too, which can run code: they must be trusted.
"""

from __future__ import annotations

import importlib
import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from emotune.corpora.base import Corpus
from emotune.corpora.readers.audformat_schemes import (
    FACTS,
    descriptions,
    dimension_schemes,
    emotion_scheme,
    emotion_words,
    fact_of,
    facts_said,
    language_tag,
    lost_values,
    scale_of,
    split_of,
)
from emotune.corpora.readers.audformat_trust import check_trust
from emotune.corpora.tables.clip_ids import clip_id
from emotune.corpora.tables.missing import known
from emotune.corpora.tables.paths import inside
from emotune.errors import CorpusError, TableError
from emotune.io.cells import number_or_none, text_or_none
from emotune.schema.gender import gender_name
from emotune.schema.labels import Scale, class_noun
from emotune.schema.manifest import Skipped
from emotune.schema.utterance import Utterance

Key = tuple[str, float | None, float | None]
"""File, start and end in seconds; no times for a whole file."""


@dataclass
class _Found:
    """Labels of one file or segment from all tables; the first table counts."""

    facts: dict[str, Any] = field(default_factory=dict)
    votes: Counter[str] = field(default_factory=Counter)
    dimensions: dict[str, float] = field(default_factory=dict)


def read(root: Path, *, trust_pickle: bool = False) -> Iterator[Utterance | Skipped]:
    """Files and segments with an emotion or a dimension in a table.

    Args:
        root: the folder of ``db.yaml``.
        trust_pickle: let the library load pickled tables; else they are refused.

    Raises:
        CorpusError: when no table has either.
    """
    database = _load(root, trust_pickle=trust_pickle)
    emotions, dimensions = emotion_scheme(database), dimension_schemes(database)
    if emotions is None and not dimensions:
        raise CorpusError(
            f"{root}/db.yaml has no scheme 'emotion', no other single scheme of labels, and no arousal, valence or"
            f" dominance. Its schemes: {', '.join(database.schemes) or 'none'}. Call the one of the labels 'emotion'."
        )
    scaled = {scheme: name for name, scheme in dimensions.items() if scale_of(database.schemes[scheme]) is not None}
    for name, scheme in dimensions.items():
        if scheme not in scaled:
            yield Skipped("db.yaml", f"scheme '{scheme}' has no minimum and maximum: values of {name} are left out")
    found: dict[Key, _Found] = defaultdict(_Found)
    labelled, listed, outside = dict[Key, str | None](), dict[Key, str](), set[Key]()
    for name in sorted(database.tables, key=lambda name: "gold_standard" not in name):
        frame = _frame(database, name)
        for index, reason in lost_values(database, name, frame):
            outside.add(_key(index))
            yield Skipped(_key(index)[0], reason)
        _collect_facts(database, name, frame, found)
        keys = _collect_labels(database, name, frame, emotions, scaled, found)
        split = split_of(database, name)
        for key in keys or ():
            if split is not None and (labelled.get(key) or split) != split:
                yield Skipped(key[0], f"table '{name}' lists it for {split} too; it stays in {labelled[key]}")
            labelled[key] = labelled.get(key) or split
        listed |= {} if keys is None else dict.fromkeys(map(_key, frame.index), name)
    tags = [language_tag(str(language)) for language in database.languages]
    for key, split in labelled.items():
        of_file = found[(key[0], None, None)].facts
        facts = {"language": tags[0] if len(tags) == 1 else None, **of_file, **found[key].facts, "split": split}
        yield _utterance(key, facts, found[key], root)
    for key, name in listed.items():
        if key not in labelled and key not in outside:
            yield Skipped(key[0], f"no label in table '{name}'")


def scales(root: Path, *, trust_pickle: bool = False) -> dict[str, Scale]:
    """The dimensions that a database has, on the scales of its schemes."""
    database = _load(root, trust_pickle=trust_pickle)
    found = {name: scale_of(database.schemes[scheme]) for name, scheme in dimension_schemes(database).items()}
    return {name: scale for name, scale in found.items() if scale is not None}


def _load(root: Path, *, trust_pickle: bool) -> Any:
    try:
        library = importlib.import_module("audformat")
    except ImportError as error:
        raise CorpusError(
            f"{root}: a database in audformat needs the extra 'audformat' (pip install 'emotune[audformat]')."
        ) from error
    if not (root / "db.yaml").is_file():
        raise CorpusError(f"{root} holds no db.yaml. Give the folder of an audformat database.")
    check_trust(root, trust_pickle=trust_pickle)
    try:
        return library.Database.load(str(root))
    except Exception as error:  # the library and its YAML reader raise a dozen kinds for a broken header
        raise CorpusError(f"{root}/db.yaml cannot be read as audformat: {error!r}.") from error


def _frame(database: Any, name: str) -> Any:
    try:
        return database[name].get()
    except Exception as error:  # pandas and pyarrow raise a dozen kinds for a broken table
        raise CorpusError(f"{database.root}: table '{name}' (db.{name}.*) cannot be read: {error!r}.") from error


def _collect_facts(database: Any, table: str, frame: Any, found: dict[Key, _Found]) -> None:
    for name, column in database.tables[table].columns.items():
        fact = fact_of(name, column)
        if fact is None:
            continue
        described = descriptions(database, column.scheme_id)
        for index, value in frame[name].dropna().items():
            facts = found[_key(index)].facts
            facts |= {**facts_said(fact, value, described.get(value)), **facts}


def _collect_labels(
    database: Any, table: str, frame: Any, emotions: str | None, scaled: Mapping[str, str], found: dict[Key, _Found]
) -> list[Key] | None:
    """Labelled files and segments of a table; None for a table without labels."""
    columns = database.tables[table].columns
    of_emotions = [name for name, column in columns.items() if emotions in (column.scheme_id, name)]
    of_emotions = ["emotion"] if "emotion" in of_emotions else of_emotions
    of_dimensions = {name: scaled[column.scheme_id] for name, column in columns.items() if column.scheme_id in scaled}
    for name in of_emotions:
        words = emotion_words(descriptions(database, columns[name].scheme_id))
        for index, value in frame[name].dropna().items():
            word = words.get(value, str(value))
            if len(of_emotions) == 1:
                found[_key(index)].facts.setdefault("emotion", word)
            else:
                found[_key(index)].votes[class_noun(word)] += 1
    for name, dimension in of_dimensions.items():
        for index, value in frame[name].dropna().items():
            found[_key(index)].dimensions.setdefault(dimension, float(value))
    names = [*of_emotions, *of_dimensions]
    return [_key(index) for index in frame[names].dropna(how="all").index] if names else None


def _key(index: Any) -> Key:
    if not isinstance(index, tuple):
        return str(index), None, None
    file, start_s, end_s = str(index[0]), *(_seconds(time) for time in index[1:])
    return (file, None, None) if not start_s and end_s is None else (file, start_s, end_s)


def _seconds(time: Any) -> float | None:
    """Seconds of one of pandas' spans of time; its missing one has seconds that are NaN."""
    seconds = float(time.total_seconds())
    return None if math.isnan(seconds) else seconds


def _utterance(key: Key, facts: Mapping[str, Any], found: _Found, root: Path) -> Utterance | Skipped:
    facts = {name: known(value, name) for name, value in facts.items()}
    texts = {name: text_or_none(facts.get(name), name) for name in (*FACTS, "split", "emotion")}
    try:
        file = inside(Path(key[0]), root, "db.yaml")
        age = number_or_none(facts.get("age"), f"{key[0]}, age")
    except TableError as error:
        return Skipped(key[0], str(error))
    word = texts.pop("emotion")
    return Utterance(
        utterance_id=clip_id(file, *key[1:]),
        file=file,
        start_s=key[1],
        end_s=key[2],
        speaker=texts["speaker"],
        session=texts["session"],
        gender=gender_name(texts["gender"]),
        age=age,
        language=language_tag(texts["language"]) if texts["language"] else None,
        text=texts["text"],
        split=texts["split"],
        emotion=class_noun(word) if word else None,
        emotion_original=word,
        votes=dict(found.votes),
        dimensions=found.dimensions,
    )


CORPUS = Corpus(
    name="audformat",
    read=read,
    licence="unknown: db.yaml states it; repeat it with --licence",
    reference="your own database",
    language="und",
    scales=scales,
    takes=("trust_pickle",),
)
