"""Recordings that lie in a table's cells, as ``{bytes, path}`` of Hugging Face's ``datasets``, or as bytes alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from emotune.audio import SUFFIXES
from emotune.errors import CorpusError, TableError
from emotune.io.tables import Row, atomic_path, iter_rows

_LONGEST_NAME = 200
_BEGINNINGS = {b"RIFF": ".wav", b"fLaC": ".flac", b"OggS": ".ogg", b"ID3": ".mp3", b"\xff\xfb": ".mp3"}


@dataclass(frozen=True)
class Embedded:
    """A recording in a cell; without content, the path of one."""

    content: bytes | None
    path: str | None


def embedded(value: object) -> Embedded | None:
    """Recording in a cell, where it holds one.

    >>> embedded({"bytes": None, "path": "a.wav"}), embedded("a.wav")
    (Embedded(content=None, path='a.wav'), None)
    """
    if isinstance(value, bytes):
        return Embedded(value, None)
    if isinstance(value, Mapping) and {"bytes", "path"} <= value.keys():
        content, path = value["bytes"], value["path"]
        return Embedded(content if isinstance(content, bytes) else None, path if isinstance(path, str) else None)
    return None


def columns_chosen(table: Path, chosen: Mapping[str, str]) -> dict[str, str]:
    """The columns that a user chose, and for the recordings one that holds them itself before one that names them."""
    column = column_of_recordings(table)
    return {**({"file": column} if column is not None else {}), **chosen}


def column_of_recordings(table: Path) -> str | None:
    """The first column that holds recordings, by the first cell of each that is not empty."""
    if table.suffix.lower() in (".csv", ".tsv"):
        return None
    empty: set[str] | None = None
    for row in iter_rows(table):
        column = next((name for name, value in row.items() if embedded(value) is not None), None)
        empty = {name for name in (row if empty is None else empty) if row.get(name) is None}
        if column is not None or not empty:
            return column
    return None


def without_content(row: Row) -> Row:
    """The row with a path, or nothing, in place of each recording."""
    return {name: value if (found := embedded(value)) is None else found.path for name, value in row.items()}


def with_file(row: Row, column: str, folder: Path | None, where: str, number: int) -> Row:
    """The row with the path of a file in place of each recording; that of one column is written below a folder.

    Raises:
        CorpusError: when there is a recording to be written, but no folder.
        TableError: when it cannot be written.
    """
    plain: dict[str, Any] = without_content(row)
    found = embedded(row.get(column))
    if found is None or found.content is None:
        return plain
    if folder is None:
        raise CorpusError(
            f"{where}: column '{column}' holds the recordings themselves, and a manifest names files. Name a folder"
            " that they are written to with --extract-to FOLDER."
        )
    return plain | {column: _written(found.content, found.path, folder, number)}


def _written(content: bytes, path: str | None, folder: Path, number: int) -> str:
    """Writes a recording under its own name, or with the row's number if that is taken; gives its relative path.

    Nothing is overwritten, and nothing is written a second time.
    """
    own = PurePosixPath((path or "").replace("\\", "/"))
    if own.is_absolute() or ".." in own.parts or ":" in str(own):
        own = PurePosixPath(own.name.replace(":", "-"))
    if own.name in ("", "..") or "\0" in str(own) or len(str(own).encode()) > _LONGEST_NAME:
        own = PurePosixPath(f"row-{number:06d}")
    if own.suffix.lower() not in SUFFIXES:
        own = own.with_name(own.name + next((s for head, s in _BEGINNINGS.items() if content.startswith(head)), ""))
    for name in (own, own.with_name(f"{own.stem}-row{number}{own.suffix}")):
        target = folder / name
        if not target.exists():
            with atomic_path(target) as temporary:
                temporary.write_bytes(content)
            return name.as_posix()
        if target.is_file() and target.read_bytes() == content:
            return name.as_posix()
    raise TableError(f"{target} is there already and is another recording. Name an empty folder with --extract-to.")
