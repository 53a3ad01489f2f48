"""Your own corpus: a CSV, JSONL or Parquet table with one row an utterance and flexible column names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from emotune.corpora.base import Corpus
from emotune.corpora.rows import COLUMN_NAMES, check_scales, columns_of, utterance_of
from emotune.errors import CorpusError, EmotuneError
from emotune.labels import Scale
from emotune.manifest import Skipped, Utterance
from emotune.tables import read_rows


def table_columns(table: Path, chosen: Mapping[str, str], dimensions: Mapping[str, Scale]) -> dict[str, str]:
    """Which column of a table file is taken for which field."""
    header = list(dict.fromkeys(name for row in read_rows(table) for name in row))
    return columns_of(header, chosen, dimensions)


def read(
    table: Path,
    *,
    audio_root: Path | None = None,
    columns: Mapping[str, str] | None = None,
    dimensions: Mapping[str, Scale] | None = None,
) -> Iterator[Utterance | Skipped]:
    """The rows of a table as utterances.

    Args:
        table: the table file.
        audio_root: folder that relative paths start from; the table's own folder when None.
        columns: field -> column name, for names that are not in ``COLUMN_NAMES``.
        dimensions: the dimensions to take, each with its scale. A column named arousal, valence or dominance without a
            scale is an error: a value means nothing without one.

    Columns ``votes.<class>`` are the annotators' votes; other columns are carried along.
    """
    dimensions = dimensions or {}
    rows = read_rows(table)
    if not rows:
        raise CorpusError(f"{table} has no rows.")
    header = list(dict.fromkeys(name for row in rows for name in row))
    found = columns_of(header, columns or {}, dimensions)
    if "file" not in found:
        raise CorpusError(
            f"{table} has no column for the recordings; expected one of {', '.join(COLUMN_NAMES['file'])}, got"
            f" {', '.join(header)}. Name it with --column file=<column>."
        )
    check_scales(header, found, table)
    for name in dimensions:
        if name not in found:
            raise CorpusError(f"{table} has no column for dimension '{name}'. Name it with --column {name}=<column>.")
    root = (audio_root or table.parent).resolve()
    for number, row in enumerate(rows, start=1):
        where = f"{table}, row {number}"
        try:
            yield utterance_of(row, found, dimensions, root, where)
        except EmotuneError as error:
            yield Skipped(str(row.get(found["file"]) or f"row {number}"), str(error))


CORPUS = Corpus(
    name="table",
    read=read,
    licence="unknown: state the licence of your recordings with --licence",
    reference="your own table",
    language="und",
    single_file=True,
    takes=("audio_root", "columns", "dimensions", "ratings"),
)
