"""Items of manifests and of users' tables, read one row at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from emotune.conditions.known import condition_columns, known_of
from emotune.corpora.base import split_name
from emotune.corpora.tables.clip_ids import segment_name
from emotune.corpora.tables.columns import columns_of_clips
from emotune.corpora.tables.embedded import columns_chosen, embedded, without_content
from emotune.corpora.tables.missing import known
from emotune.corpora.tables.paths import recording_at
from emotune.corpora.tables.segment_columns import FIELDS, segment_times
from emotune.errors import TableError
from emotune.inference.items import Item, id_fingerprint
from emotune.io.cells import channel_or_none, text_or_none
from emotune.io.tables import Row, iter_rows, read_header
from emotune.schema.manifest import Manifest

_KEPT = ("file", "start_s", "end_s", "channel", "speaker", "session", "gender", "text", "split")
"""Columns of a manifest that are taken along: not the truth."""

_OF_TABLE = ("utterance_id", "file", *FIELDS, "channel", "split", "speaker")
"""Fields that are taken of a user's table, beside those of conditions; its labels are not."""


def items_of_manifest(path: Path) -> Iterator[Item]:
    """Yields an item for each utterance of a manifest.

    Raises:
        TableError: for a manifest that cannot be read, or an id that comes twice.
    """
    head, utterances = Manifest.stream(path)
    seen: set[int] = set()
    for utterance in utterances:
        fingerprint = id_fingerprint(utterance.utterance_id)
        if fingerprint in seen:
            raise TableError(f"{path}: utterance_id must be unique, '{utterance.utterance_id}' appears more than once.")
        seen.add(fingerprint)
        yield Item(
            utterance.utterance_id,
            head.path_of(utterance),
            utterance.start_s,
            utterance.end_s,
            {name: getattr(utterance, name) for name in _KEPT} | dict(utterance.extra),
            utterance.content_sha256,
            known=known_of(utterance),
            channel=utterance.heard_channel,
            split=utterance.split,
            speaker=utterance.speaker,
            corpus=utterance.corpus,
        )


def items_of_table(path: Path, columns: Mapping[str, str]) -> Iterator[Item]:
    """Yields an item for each row of a user's table; a faulty row is an item with its error.

    Raises:
        EmotuneError: for a table that cannot be read, or whose columns cannot be understood.
    """
    found, _ = columns_of(path, columns)
    for number, row in enumerate(iter_rows(path), start=1):
        yield _of_row(row, found, path, number)


def columns_of(path: Path, columns: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """Field -> column that is taken of a user's table, and what the user should know of these.

    Raises:
        CorpusError: for columns that cannot be understood.
    """
    found, notes = columns_of_clips(path, read_header(path), columns_chosen(path, columns), {})
    taken = {*_OF_TABLE, *condition_columns()}
    return {field: column for field, column in found.items() if field in taken}, notes


def _known_in(row: Row, found: Mapping[str, str]) -> dict[str, str]:
    """Values of conditions in a user's row."""
    meanings = condition_columns()
    cells = {column: known(row.get(found.get(column, column)), column) for column in meanings}
    return {column: meanings[column](str(value)) for column, value in cells.items() if value}


def _of_row(given_row: Row, found: Mapping[str, str], table: Path, number: int) -> Item:
    """Item of a row of a user's table; a fault becomes that row's error."""
    where, row, recording = f"{table}, row {number}", without_content(given_row), embedded(given_row.get(found["file"]))
    content = None if recording is None else recording.content
    cells, given = row | {column: known(row.get(column), field) for field, column in found.items()}, None
    word = cells.get(found.get("split", ""))
    split = split_name(word.strip()) if isinstance(word, str) else None
    try:
        given = text_or_none(cells.get(found["utterance_id"]), where) if "utterance_id" in found else None
        given = given and given.strip()
        file = text_or_none(cells.get(found["file"]), f"{where}, {found['file']}")
        if file is None and content is not None:
            file = f"row {number}"
        if file is None:
            raise TableError(f"{where}: {found['file']} is empty, expected the path of a recording.")
        path = recording_at(file.strip(), table.parent)
        start_s, end_s = segment_times(cells, found, path, where)
        named = found.get("channel")
        channel = None if named is None else channel_or_none(cells.get(named), f"{where}, {named}")
        speaker = text_or_none(cells.get(found["speaker"]), f"{where}, speaker") if "speaker" in found else None
    except TableError as error:
        return Item(given or f"row {number}", table, extra=row, error=str(error), split=split)
    return Item(
        given or file + segment_name(start_s, end_s, channel),
        path if content is None else content,
        start_s,
        end_s,
        row,
        known=_known_in(row, found),
        channel="mix" if channel is None else channel,
        split=split,
        speaker=speaker and (speaker.strip() or None),
    )
