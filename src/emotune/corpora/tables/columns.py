"""Columns of a user's table, seen as a whole: the fields they are taken for, with warnings."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from emotune.corpora.tables.missing import known
from emotune.corpora.tables.rows import COLUMN_NAMES, check_scales, columns_of, is_vote
from emotune.corpora.tables.segment_columns import FIELDS, unit_of, untaken_ends
from emotune.errors import CorpusError
from emotune.io.tables import Row
from emotune.schema.labels import Scale


def columns_of_clips(
    table: Path, header: Sequence[str], chosen: Mapping[str, str], dimensions: Mapping[str, Scale]
) -> tuple[dict[str, str], list[str]]:
    """The column of each field of a table of recordings, and what the user should know of their segments.

    Args as of ``columns_in``.

    Raises:
        CorpusError: for a table without recordings or rows, or with a column that cannot be understood.
    """
    if not header:
        raise CorpusError(f"{table} has no rows.")
    try:
        found = columns_of(header, chosen, dimensions)
    except CorpusError as error:
        raise CorpusError(f"{table}: {error}") from error
    if "file" not in found:
        raise CorpusError(
            f"{table} has no column for the recordings; expected one of {', '.join(COLUMN_NAMES['file'])}, got"
            f" {', '.join(header)}. Name it with --column file=<column>."
        )
    notes = []
    if (ends := untaken_ends(header, found)) and not {*FIELDS} & {*chosen}:
        notes.append(
            f"whole recordings are read: {', '.join(repr(name) for name in ends)} may hold segments, but their names"
            " are not known; name them with --column start_s=<column> and --column end_s=<column>"
        )
    return found, notes


def columns_in(
    table: Path,
    header: Sequence[str],
    rows: Iterable[Row],
    chosen: Mapping[str, str],
    dimensions: Mapping[str, Scale],
    *,
    unlabelled: bool = False,
) -> tuple[dict[str, str], list[str]]:
    """The column of each field of a table with labels, and what the user should know of the choice.

    Args:
        table: the file, for messages.
        header: its columns.
        rows: its rows, gone through once where there is a column of ids.
        chosen: field -> column, as the user says.
        dimensions: those to take.
        unlabelled: the table need not have labels.

    Raises:
        CorpusError: for a table without recordings, rows or labels, or with a column that cannot be understood.
    """
    found, notes = columns_of_clips(table, header, chosen, dimensions)
    check_scales(header, found, table)
    for name in dimensions:
        if name not in found:
            raise CorpusError(f"{table} has no column for dimension '{name}'. Name it with --column {name}=<column>.")
    if not (unlabelled or dimensions or "emotion" in found or any(map(is_vote, header))):
        raise CorpusError(
            f"{table} has no labels; expected a column {', '.join(COLUMN_NAMES['emotion'])}, columns votes.<class>, or"
            f" a dimension with --scale; got {', '.join(header)}. Name the column with --column emotion=<column>, or"
            " read the table without labels with --unlabelled."
        )
    if "utterance_id" in found and (repeated := _id_of_two_clips(rows, found)) is not None:
        column = found["utterance_id"]
        if column == chosen.get("utterance_id"):
            raise CorpusError(
                f"{table}: column '{column}' was chosen for utterance_id, but '{repeated}' stands for different clips"
                " in it. Choose a column of unique values, or say --column utterance_id=none: ids are then made of the"
                " files' names."
            )
        notes.append(
            f"utterance ids are made of the files' names, not of column '{column}', in which '{repeated}' stands for"
            f" different clips; if it names people, say --column speaker='{column}'"
        )
        del found["utterance_id"]
    return found, notes


def columns_text(found: Mapping[str, str]) -> str:
    """Lists fields with their columns, times with their unit.

    >>> columns_text({"file": "wav", "start_s": "begin"})
    "file from 'wav', start_s from 'begin' (seconds)"
    """
    return ", ".join(
        f"{field} from '{column}'" + (f" ({unit_of(column)})" if field in FIELDS else "")
        for field, column in found.items()
    )


def facts_of_columns(header: Iterable[str], found: Mapping[str, str]) -> dict[str, Any]:
    """Facts for a manifest about a table's columns: those taken, the units of times, those not used."""
    return {
        "columns": dict(found),
        "units": {field: unit_of(found[field]) for field in FIELDS if field in found},
        "columns_not_used": [name for name in header if name not in found.values() and not is_vote(name)],
    }


def _id_of_two_clips(rows: Iterable[Row], found: Mapping[str, str]) -> str | None:
    """An id that stands for two clips; rows of one clip may share theirs, and one without a file's name is its own."""
    place = [found[field] for field in (*FIELDS, "channel") if field in found]
    clips: dict[str, list[Hashable]] = {}
    for number, row in enumerate(rows):
        name, file = known(row.get(found["utterance_id"]), "utterance_id"), row.get(found["file"])
        clip = [number if file is None else str(file), *(str(row.get(column)) for column in place)]
        if name is not None and clips.setdefault(str(name).strip(), clip) != clip:
            return str(name).strip()
    return None
