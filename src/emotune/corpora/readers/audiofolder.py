"""Hugging Face's audiofolder: recordings with a ``metadata`` table, or in a folder for each class.

The table is ``metadata.csv``, ``.jsonl`` or ``.parquet`` with ``file_name`` and a label, in the folder itself or in its
split folders. Without one, ``train/anger/a.wav`` or ``anger/a.wav`` names the class.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from emotune.corpora.base import Corpus, audio_files, is_split_name, others_in, split_name
from emotune.corpora.tables.clip_ids import clip_id
from emotune.corpora.tables.columns import columns_in, columns_of_clips, facts_of_columns
from emotune.corpora.tables.missing import Missing
from emotune.corpora.tables.rows import utterance_of
from emotune.errors import CorpusError, EmotuneError, TableError, on_a_screen
from emotune.io.folders import files_below
from emotune.io.tables import SUFFIXES, Row, header_of, read_rows
from emotune.schema.labels import Scale, class_noun
from emotune.schema.manifest import Skipped
from emotune.schema.splits import TRAIN
from emotune.schema.utterance import Utterance


def read(
    root: Path,
    *,
    columns: Mapping[str, str] | None = None,
    dimensions: Mapping[str, Scale] | None = None,
    unlabelled: bool = False,
) -> Iterator[Utterance | Skipped | Missing]:
    """Recordings listed by the metadata tables below ``root``, or else found in folders named by class.

    Args:
        root: the folder that ``load_dataset("audiofolder", data_dir=...)`` is given.
        columns: field -> column name of the metadata, for names that are not known.
        dimensions: the dimensions to take, each with its scale.
        unlabelled: metadata without labels is no error.
    """
    files = [path.relative_to(root).as_posix() for path in audio_files(root)]
    tables = _tables(root)
    if not tables:
        yield from map(_by_folder, files)
        for path in others_in(root):
            suffix = path.suffix.lower() or "no suffix"
            yield Skipped(path.relative_to(root).as_posix(), f"its name is not that of a recording ({suffix})")
        return
    listed = set[str]()
    for table in tables:
        for item in _of_table(table, root, columns or {}, dimensions or {}, unlabelled=unlabelled):
            if not isinstance(item, Missing):
                listed.add(item.file)
            yield item
    yield from (Skipped(file, "no row in the metadata") for file in files if file not in listed)


def recordings(root: Path) -> Iterator[Utterance | Skipped]:
    """Every recording below ``root``, without labels: with its split where a folder is called after one.

    Of a metadata table are read segments, speakers and all else that is no label; a recording that it does not list is
    one all the same. Raises as ``read``.
    """
    files = [path.relative_to(root).as_posix() for path in audio_files(root)]
    listed, ids = set[str](), set[str]()
    for table in _tables(root):
        for item in _clips_of_table(table, root):
            listed.add(item.file)
            if isinstance(item, Skipped):
                yield item
            elif item.utterance_id not in ids:
                ids.add(item.utterance_id)
                yield item
    for file in files:
        if file not in listed:
            yield Utterance(clip_id(file), file, split=_split_inside(file))


def _clips_of_table(table: Path, root: Path) -> Iterator[Utterance | Skipped]:
    """Clips that a metadata table lists, its columns of labels left out; raters' rows of one clip are one id."""
    rows, prefix = _rows_of(table), table.parent.relative_to(root)
    found, _ = columns_of_clips(table, header_of(rows), {}, {})
    found = {field: column for field, column in found.items() if field not in ("utterance_id", "emotion", "rater")}
    for number, row in enumerate(rows, start=1):
        where = f"{table.relative_to(root).as_posix()}, row {number}"
        try:
            clip = utterance_of({c: row.get(c) for c in found.values()}, found, {}, table.parent, where)
        except EmotuneError as error:
            yield Skipped((prefix / str(row.get(found["file"]))).as_posix(), str(error))
            continue
        file, name = ((prefix / part).as_posix() for part in (clip.file, clip.utterance_id))
        yield replace(clip, utterance_id=name, file=file, split=clip.split or _split_inside(file))


def _split_inside(file: str) -> str | None:
    """The split that any of a file's folders is called after; one that is not training's comes first."""
    names = [split_name(part) for part in Path(file).parts[:-1] if is_split_name(part)]
    return next((name for name in names if name != TRAIN), TRAIN if names else None)


def _split_of(file: str) -> str | None:
    first, *rest = Path(file).parts
    return split_name(first) if rest and is_split_name(first) else None


def _by_folder(file: str) -> Utterance | Skipped:
    folders = Path(file).parts[:-1]
    if not folders or (len(folders) == 1 and is_split_name(folders[0])):
        return Skipped(file, "lies in no folder of a class, and there is no metadata.csv or metadata.jsonl")
    return Utterance(
        utterance_id=clip_id(file),
        file=file,
        split=_split_of(file),
        emotion=class_noun(folders[-1]),
        emotion_original=folders[-1],
    )


def _tables(root: Path) -> list[Path]:
    below = list(files_below(root))
    return [path for suffix in SUFFIXES for path in below if path.name == f"metadata{suffix}"]


def information(
    root: Path,
    *,
    columns: Mapping[str, str] | None = None,
    dimensions: Mapping[str, Scale] | None = None,
    unlabelled: bool = False,
) -> dict[str, Any]:
    """Fields of the first metadata table's columns, and warnings about all tables."""
    first: dict[str, Any] = {}
    warnings: dict[str, None] = {}
    for table in _tables(root):
        rows = read_rows(table)
        header = header_of(rows)
        found, notes = columns_in(table, header, rows, columns or {}, dimensions or {}, unlabelled=unlabelled)
        first = first or facts_of_columns(header, found)
        warnings |= dict.fromkeys(notes)
    return {**first, "warnings": [*warnings]}


def _rows_of(table: Path) -> list[Row]:
    try:
        return read_rows(table)
    except TableError as error:
        raise CorpusError(str(error)) from error


def _of_table(
    table: Path, root: Path, columns: Mapping[str, str], dimensions: Mapping[str, Scale], *, unlabelled: bool
) -> Iterator[Utterance | Skipped | Missing]:
    rows = _rows_of(table)
    found, _ = columns_in(table, header_of(rows), rows, columns, dimensions, unlabelled=unlabelled)
    missing: list[Missing] = []
    for number, row in enumerate(rows, start=1):
        where = f"{table.relative_to(root).as_posix()}, row {number}"
        try:
            utterance = utterance_of(row, found, dimensions, table.parent, where, missing)
        except EmotuneError as error:
            yield Skipped(on_a_screen(str(row.get(found["file"]) or where)), str(error))
            continue
        prefix = table.parent.relative_to(root)
        file = (prefix / utterance.file).as_posix()
        name = utterance.utterance_id if "utterance_id" in found else (prefix / utterance.utterance_id).as_posix()
        yield replace(utterance, utterance_id=name, file=file, split=utterance.split or _split_of(file))
    yield from missing


CORPUS = Corpus(
    name="audiofolder",
    read=read,
    licence="unknown: state the licence of your recordings with --licence",
    reference="your own folder",
    language="und",
    takes=("columns", "dimensions", "unlabelled", "ratings"),
    information=information,
)
