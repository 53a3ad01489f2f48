"""User's own corpus: a CSV, JSONL or Parquet table with one row an utterance and flexible column names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from emotune.corpora.base import Corpus
from emotune.corpora.tables.columns import columns_in, facts_of_columns
from emotune.corpora.tables.embedded import column_of_recordings, columns_chosen, with_file, without_content
from emotune.corpora.tables.missing import Missing
from emotune.corpora.tables.paths import shared_folder
from emotune.corpora.tables.rows import utterance_of
from emotune.errors import EmotuneError, on_a_screen
from emotune.io.tables import header_of, iter_rows
from emotune.schema.labels import Scale
from emotune.schema.manifest import Skipped
from emotune.schema.utterance import Utterance


def information(
    table: Path,
    *,
    columns: Mapping[str, str] | None = None,
    dimensions: Mapping[str, Scale] | None = None,
    unlabelled: bool = False,
) -> dict[str, Any]:
    """Fields that a table's columns are taken for, with warnings, and where its recordings start from."""
    rows = [without_content(row) for row in iter_rows(table)]
    header, chosen = header_of(rows), columns_chosen(table, columns or {})
    found, notes = columns_in(table, header, rows, chosen, dimensions or {}, unlabelled=unlabelled)
    files = (str(row[found["file"]]).strip() for row in rows if row.get(found["file"]) is not None)
    return {**facts_of_columns(header, found), "warnings": notes, "audio_root": shared_folder(files, table.parent)}


def read(
    table: Path,
    *,
    audio_root: Path | None = None,
    columns: Mapping[str, str] | None = None,
    dimensions: Mapping[str, Scale] | None = None,
    unlabelled: bool = False,
    extract_to: Path | None = None,
) -> Iterator[Utterance | Skipped | Missing]:
    """The rows of a table as utterances.

    Args:
        table: the table file.
        audio_root: folder that relative paths start from; the table's own folder when None.
        columns: field -> column name, for names that are not known, or ``none`` for a field that is in no column.
        dimensions: the dimensions to take, each with its scale. A column named arousal, valence or dominance without a
            scale is an error: a value means nothing without one.
        unlabelled: a table without labels is no error.
        extract_to: where recordings that lie in the table itself are written; their files then start from there.

    Columns ``votes.<class>`` are the annotators' votes; other columns are carried along.
    """
    dimensions = dimensions or {}
    rows = [without_content(row) for row in iter_rows(table)]
    chosen = columns_chosen(table, columns or {})
    found, _ = columns_in(table, header_of(rows), rows, chosen, dimensions, unlabelled=unlabelled)
    root = extract_to or audio_root or table.parent
    missing: list[Missing] = []
    holds_recordings = column_of_recordings(table) is not None
    for number, cells in enumerate(iter_rows(table) if holds_recordings else rows, start=1):
        where = f"{table}, row {number}"
        row = with_file(cells, found["file"], extract_to, where, number)
        try:
            yield utterance_of(row, found, dimensions, root, where, missing)
        except EmotuneError as error:
            yield Skipped(on_a_screen(str(row.get(found["file"]) or f"row {number}")), str(error))
    yield from missing


CORPUS = Corpus(
    name="table",
    read=read,
    licence="unknown: state the licence of your recordings with --licence",
    reference="your own table",
    language="und",
    single_file=True,
    takes=("audio_root", "columns", "dimensions", "unlabelled", "extract_to", "ratings"),
    information=information,
)
