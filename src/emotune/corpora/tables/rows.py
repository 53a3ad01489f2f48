"""One row of a labelled table as an utterance, whatever its columns are called."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from emotune.corpora.base import split_name
from emotune.corpora.tables.clip_ids import clip_id
from emotune.corpora.tables.missing import Missing, known
from emotune.corpora.tables.paths import inside
from emotune.corpora.tables.segment_columns import FIELDS, NONE, segment_columns, segment_times
from emotune.errors import CorpusError, TableError
from emotune.io.cells import channel_or_none, number_or_none, text_or_none
from emotune.io.tables import Row
from emotune.registry import unknown_name_message
from emotune.schema.gender import gender_name
from emotune.schema.labels import Scale, class_noun
from emotune.schema.utterance import Utterance

COLUMN_NAMES: Mapping[str, tuple[str, ...]] = {
    "utterance_id": ("utterance_id", "id", "key", "name"),
    "file": ("file", "path", "wav", "audio", "filename", "file_name", "filepath", "audio_filepath", "audio_path"),
    "channel": ("channel",),
    "speaker": ("speaker", "speaker_id", "spk", "spkrid", "actor"),
    "session": ("session",),
    "gender": ("gender", "sex"),
    "age": ("age",),
    "language": ("language", "lang"),
    "text": ("text", "transcript", "transcription", "sentence"),
    "split": ("split", "partition", "split_set", "subset"),
    "emotion": ("emotion", "label", "emo", "emoclass", "class"),
    "rater": ("rater", "rater_id", "annotator", "annotator_id", "worker", "worker_id", "coder", "judge"),
}
"""For each field, the column names that are taken for it, in this order, whatever their case and joints."""

_VOTES = "votes."

DIMENSION_NAMES = {"arousal": ("arousal", "activation"), "valence": ("valence",), "dominance": ("dominance",)}


def columns_of(header: Sequence[str], chosen: Mapping[str, str], dimensions: Mapping[str, Scale]) -> dict[str, str]:
    """The column of each field: what the user chose, else the first known name that is there.

    Raises:
        CorpusError: for a choice that cannot be, and for segments of which one end is not understood.
    """
    by_name: dict[str, str] = {}
    for column in header:
        for name in (column.lower(), re.sub(r"[\s_.-]+", "_", column.strip()).lower()):
            by_name.setdefault(name, column)
    known_names = {**COLUMN_NAMES, **{name: DIMENSION_NAMES.get(name, (name,)) for name in dimensions}}
    for field, column in chosen.items():
        if field not in known_names and field not in FIELDS:
            raise CorpusError(unknown_name_message("field", field, {**known_names, **dict.fromkeys(FIELDS)}))
        if column not in header and column != NONE:
            raise CorpusError(
                f"Column '{column}' was chosen for {field}. " + unknown_name_message("column", column, header)
            )
    free = {name: column for name, column in by_name.items() if column not in chosen.values()}
    found = {}
    for field, names in known_names.items():
        column = chosen.get(field) or next((free[name] for name in names if name in free), None)
        if column in header:
            found[field] = column
    return found | segment_columns(header, chosen, found.values())


def check_scales(header: Sequence[str], found: Mapping[str, str], table: Path) -> None:
    """Refuses a column that looks like a dimension, but was given no scale.

    Raises:
        CorpusError: that names the column, and the option.
    """
    for name, aliases in DIMENSION_NAMES.items():
        unscaled = [column for column in header if column.lower() in aliases and column not in found.values()]
        if unscaled:
            raise CorpusError(
                f"{table}: column '{unscaled[0]}' looks like the dimension {name}, but its scale is not known."
                f" Give it with --scale {name}=LOW:HIGH (for example {name}=1:7), or rename the column."
            )


def utterance_of(
    row: Row,
    found: Mapping[str, str],
    dimensions: Mapping[str, Scale],
    root: Path,
    where: str,
    missing: list[Missing] | None = None,
) -> Utterance:
    """The utterance of a row, its file relative to ``root``; ``found`` as from ``columns_of``.

    Cells that say by a word that their value is missing are empty, and are added to ``missing``.

    Raises:
        TableError: for a row that cannot be used; ``where`` names file and row.
    """
    fields = {column: field for field, column in found.items()}
    row = {
        name: known(value, fields.get(name, name), missing) if name in fields or is_vote(name) else value
        for name, value in row.items()
    }

    def text(field: str) -> str | None:
        value = text_or_none(row.get(found[field]), f"{where}, {found[field]}") if field in found else None
        return None if value is None or not value.strip() else value.strip()

    def number(field: str) -> float | None:
        return number_or_none(row.get(found[field]), f"{where}, {found[field]}") if field in found else None

    file = text("file")
    if file is None:
        raise TableError(f"{where}: {found['file']} is empty.")
    relative = inside(Path(file), root, where)
    start_s, end_s = segment_times(row, found, root / relative, where)
    channel = channel_or_none(row.get(found["channel"]), f"{where}, {found['channel']}") if "channel" in found else None
    word = text("emotion")
    votes = votes_of(row, where)
    values = {name: value for name in dimensions if (value := number(name)) is not None}
    used = {column for field, column in found.items() if field != "rater"}  # who rated stays the user's own column
    extra: dict[str, Any] = {name: value for name, value in row.items() if not (name in used or is_vote(name))}
    return Utterance(
        utterance_id=text("utterance_id") or clip_id(relative, start_s, end_s, channel),
        file=relative,
        start_s=start_s,
        end_s=end_s,
        channel=channel,
        speaker=text("speaker"),
        session=text("session"),
        gender=gender_name(text("gender")),
        age=number("age"),
        language=text("language"),
        text=text("text"),
        split=split_name(text("split")),
        emotion=None if word is None else class_noun(word),
        emotion_original=word,
        votes=votes,
        dimensions=values,
        extra=extra,
    )


def votes_of(row: Row, where: str) -> dict[str, float]:
    """The votes of a row by class; columns that are words for one class are added up.

    Raises:
        TableError: for votes without a class, or no number of at least 0; ``where`` names file and row.

    >>> votes_of({"votes.happy": 5, "votes.joy": 1, "Votes.sad": 4}, "row 1")
    {'happiness': 6.0, 'sadness': 4.0}
    """
    votes: dict[str, float] = {}
    for column in filter(is_vote, row):
        count = number_or_none(row[column], f"{where}, {column}")
        name = class_noun(column[len(_VOTES) :])
        if not name:
            raise TableError(f"{where}: column '{column}' names no class, expected votes.<class>.")
        if count is not None:
            if count < 0:  # two columns of a class would hide it
                raise TableError(f"{where}: {column} is {count}, expected a number of at least 0.")
            votes[name] = votes.get(name, 0.0) + count
    return votes


def is_vote(column: str) -> bool:
    """Tells whether a column holds annotators' votes for a class."""
    return column.lower().startswith(_VOTES)
