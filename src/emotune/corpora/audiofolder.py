"""Hugging Face's audiofolder: recordings with a ``metadata`` table, or in a folder for each class.

The table is ``metadata.csv``, ``.jsonl`` or ``.parquet`` with ``file_name`` and a label, in the folder itself or in its
split folders. Without one, ``train/anger/a.wav`` or ``anger/a.wav`` names the class.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from emotune.corpora.base import Corpus, audio_files, is_split_name, split_name
from emotune.corpora.rows import COLUMN_NAMES, check_scales, columns_of, utterance_of
from emotune.errors import CorpusError, EmotuneError, TableError
from emotune.labels import Scale, class_noun
from emotune.manifest import Skipped, Utterance
from emotune.tables import SUFFIXES, read_rows


def read(
    root: Path, *, columns: Mapping[str, str] | None = None, dimensions: Mapping[str, Scale] | None = None
) -> Iterator[Utterance | Skipped]:
    """What the metadata tables below ``root`` list, or all recordings by the folders they lie in.

    Args:
        root: the folder that ``load_dataset("audiofolder", data_dir=...)`` is given.
        columns: field -> column name of the metadata, for names that are not known.
        dimensions: the dimensions to take, each with its scale.
    """
    files = [path.relative_to(root).as_posix() for path in audio_files(root)]
    tables = [path for suffix in SUFFIXES for path in sorted(root.rglob(f"metadata{suffix}"))]
    if not tables:
        yield from map(_by_folder, files)
        return
    listed = set[str]()
    for table in tables:
        for item in _of_table(table, root, columns or {}, dimensions or {}):
            listed.add(item.file)
            yield item
    yield from (Skipped(file, "no row in the metadata") for file in files if file not in listed)


def _split_of(file: str) -> str | None:
    first, *rest = Path(file).parts
    return split_name(first) if rest and is_split_name(first) else None


def _by_folder(file: str) -> Utterance | Skipped:
    folders = Path(file).parts[:-1]
    if not folders or (len(folders) == 1 and is_split_name(folders[0])):
        return Skipped(file, "lies in no folder of a class, and there is no metadata.csv or metadata.jsonl")
    return Utterance(
        utterance_id=Path(file).with_suffix("").as_posix(),
        file=file,
        split=_split_of(file),
        emotion=class_noun(folders[-1]),
        emotion_original=folders[-1],
    )


def _of_table(
    table: Path, root: Path, columns: Mapping[str, str], dimensions: Mapping[str, Scale]
) -> Iterator[Utterance | Skipped]:
    try:
        rows = read_rows(table)
    except TableError as error:
        raise CorpusError(str(error)) from error
    header = list(dict.fromkeys(name for row in rows for name in row))
    found = columns_of(header, columns, dimensions)
    check_scales(header, found, table)
    cures = {"file": f"one of {', '.join(COLUMN_NAMES['file'])}"}
    if not dimensions:
        cures["emotion"] = f"one of {', '.join(COLUMN_NAMES['emotion'])}"
    for field, expected in cures.items():
        if field not in found:
            raise CorpusError(
                f"{table} has no column for {field}; expected {expected}, got {', '.join(header) or 'no rows'}."
                f" Name it with --column {field}=<column>."
            )
    above = table.parent.resolve()
    for number, row in enumerate(rows, start=1):
        where = f"{table.relative_to(root).as_posix()}, row {number}"
        try:
            utterance = utterance_of(row, found, dimensions, above, where)
        except EmotuneError as error:
            yield Skipped(str(row.get(found["file"]) or where), str(error))
            continue
        prefix = table.parent.relative_to(root)
        file = (prefix / utterance.file).as_posix()
        name = utterance.utterance_id if "utterance_id" in found else (prefix / utterance.utterance_id).as_posix()
        yield replace(utterance, utterance_id=name, file=file, split=utterance.split or _split_of(file))


CORPUS = Corpus(
    name="audiofolder",
    read=read,
    licence="unknown: state the licence of your recordings with --licence",
    reference="your own folder",
    language="und",
    takes=("columns", "dimensions", "ratings"),
)
