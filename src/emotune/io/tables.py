"""Tables in CSV, JSONL and Parquet, each with a metadata file beside it; every write is atomic.

TSV is read as well.
"""

from __future__ import annotations

import csv
import json
import math
import os
import tempfile
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, TextIO

from emotune.errors import TableError
from emotune.io.delimited import iter_delimited, plain_cell, safe_cell
from emotune.io.nested_json import parse_json
from emotune.io.parquet import check_parquet, iter_parquet, write_parquet

SUFFIXES = (".csv", ".jsonl", ".parquet")
"""Of the tables that are written."""

READ_SUFFIXES = (".csv", ".tsv", ".jsonl", ".parquet")
"""Of the tables that are read."""

Row = dict[str, Any]
_UNENCODABLE = "backslashreplace"  # a file name that is not UTF-8 must not lose a whole table of results


def metadata_path(path: Path) -> Path:
    """Path of a table's metadata file: ``speech.csv`` -> ``speech.csv.meta.json``."""
    return path.with_name(path.name + ".meta.json")


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A temporary path beside ``path`` that replaces it when the block ends well, and vanishes when it does not.

    Raises:
        TableError: if the file cannot be written.
    """
    if path.is_dir():
        raise TableError(f"Cannot write {path}: it is a folder. Name a file.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
        os.close(handle)
    except OSError as error:
        raise TableError(f"Cannot write {path}: {error.strerror}. Choose a folder that you may write to.") from error
    temporary = Path(name)
    try:
        yield temporary
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        temporary.replace(path)
    except OSError as error:
        raise TableError(f"Cannot write {path}: {error.strerror or error}.") from error
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Writes a text file atomically, UTF-8."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors=_UNENCODABLE)


def to_json(value: object, *, indent: int | None = 2) -> str:
    """JSON for people and machines alike: NaN and infinity become null, since JSON has no word for them."""
    return json.dumps(_without_nan(value), indent=indent, ensure_ascii=False, allow_nan=False)


def _without_nan(value: object) -> object:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {str(key): _without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(item) for item in value]
    return value


def read_json(path: Path, what: str) -> dict[str, Any]:
    """Reads a JSON object.

    Raises:
        TableError: for anything else, naming the file and its expected content.
    """
    try:
        data = parse_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise TableError(f"{what} {path} does not exist.") from error
    except (OSError, ValueError) as error:
        raise TableError(f"{what} {path} cannot be read as JSON: {error}.") from error
    if not isinstance(data, dict):
        raise TableError(f"{what} {path} must hold a JSON object, not a {type(data).__name__}.")
    return data


def check_suffix(path: Path, known: Sequence[str] = SUFFIXES) -> str:
    """Format of a table by its suffix.

    Raises:
        TableError: for any other suffix, listing the known ones.
    """
    suffix = path.suffix.lower()
    if suffix not in known and path.is_dir():
        raise TableError(f"{path} is a folder, expected a table: a file whose name ends in {', '.join(known)}.")
    if suffix not in known:
        raise TableError(f"{path}: a table's name must end in {', '.join(known)}, not '{path.suffix}'.")
    return suffix


def check_output(path: Path, *, inputs: Iterable[Path] = (), spreadsheet_safe: bool = False) -> None:
    """Refuses, before any work is done, a path where a table could not be written afterwards.

    Args:
        path: of the table to be.
        inputs: files that are read, which it must not replace.
        spreadsheet_safe: as for ``write_rows``.

    Raises:
        TableError: that says what is in the way.
    """
    sources = list(inputs)
    suffix = check_suffix(path)
    if suffix == ".parquet":
        check_parquet(path)
    if spreadsheet_safe and suffix != ".csv":
        raise TableError(f"{path}: --spreadsheet-safe goes with a .csv; in {suffix} nothing is run as a formula.")
    for file in (path, metadata_path(path)):
        check_file(file, inputs=sources)


def check_file(path: Path, *, inputs: Iterable[Path] = ()) -> None:
    """Refuses a path as ``check_output`` does, for a file of any kind.

    Raises:
        TableError: when it could not be written, or would replace what is read or the metadata of that.
    """
    for source in filter(Path.is_file, inputs):
        if _is_same_file(path, source) or _is_same_file(path, metadata_path(source)):
            raise TableError(f"{path} is an input and would be overwritten. Give the output another name.")
    if path.is_dir():
        raise TableError(f"Cannot write {path}: it is a folder. Name a file.")
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        what = "may not be written to" if folder.is_dir() else "is not a folder"
        raise TableError(f"Cannot write {path}: {folder} {what}. Choose a folder that you may write to.")


def _is_same_file(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:  # one of them is not there
        return False


def read_rows(path: Path) -> list[Row]:
    """All rows of a table as dictionaries; values of CSV are strings, an empty field is None."""
    return list(iter_rows(path))


def read_header(path: Path) -> list[str]:
    """Column names of a table; see ``header_of``."""
    rows = iter_rows(path)
    return header_of(rows if path.suffix.lower() == ".jsonl" else islice(rows, 1))


def header_of(rows: Iterable[Row]) -> list[str]:
    """All columns of rows; one of JSONL may have more than the one before it."""
    return list(dict.fromkeys(name for row in rows for name in row))


def own_columns(cells: Mapping[str, Any], ours: Collection[str]) -> Row:
    """A user's own cells beside columns of ours; one that is named like one of these is kept as ``given.<name>``.

    >>> own_columns({"corpus": "X", "room": 3}, ["file", "corpus"])
    {'given.corpus': 'X', 'room': 3}
    """
    own = {}
    for name, value in cells.items():
        column = f"given.{name}" if name in ours else name
        while column != name and column in cells:
            column = f"given.{column}"
        own[column] = value
    return own


def iter_rows(path: Path) -> Iterator[Row]:
    """Yields the rows of a table one by one, so that a table of any length can be read.

    Raises:
        TableError: for what is no table, or is broken, naming file and row.
    """
    suffix = check_suffix(path, READ_SUFFIXES)
    if not path.exists():
        raise TableError(f"{path} does not exist.")
    if path.is_dir():
        raise TableError(f"{path} is a folder, expected a table file.")
    tsv = partial(_iter_csv, delimiter="\t")
    rows = {".csv": _iter_csv, ".tsv": tsv, ".jsonl": _iter_jsonl, ".parquet": iter_parquet}[suffix](path)
    try:
        yield from rows
    except UnicodeDecodeError as error:
        raise TableError(
            f"{path} is not UTF-8 text (byte {error.start}). Save it again as UTF-8, for example with"
            f" iconv -f latin1 -t utf-8."
        ) from error
    except OSError as error:
        raise TableError(f"{path} cannot be read: {error.strerror or error}.") from error


def _iter_csv(path: Path, *, delimiter: str = ",") -> Iterator[Row]:
    rows = iter_delimited(path, delimiter=delimiter)
    if not _is_spreadsheet_safe(path):
        yield from rows
        return
    for row in rows:
        yield {plain_cell(name): value and plain_cell(value) for name, value in row.items()}


def _is_spreadsheet_safe(path: Path) -> bool:
    try:
        said = metadata_path(path).read_bytes()
        return b'"spreadsheet_safe": true' in said and parse_json(said.decode()).get("spreadsheet_safe") is True
    except (OSError, ValueError, AttributeError):  # broken metadata is named where it is needed
        return False


def _iter_jsonl(path: Path) -> Iterator[Row]:
    with path.open(encoding="utf-8-sig", newline="\n") as stream:
        for number, line in enumerate(stream, start=1):
            if not line.strip():
                continue
            try:
                row = parse_json(line)
            except ValueError as error:
                raise TableError(f"{path}, line {number}: not valid JSON ({error}).") from error
            if not isinstance(row, dict):
                raise TableError(f"{path}, line {number}: expected a JSON object, got a {type(row).__name__}.")
            yield row


def write_rows(
    path: Path,
    columns: Sequence[str],
    rows: Sequence[Row],
    metadata: Mapping[str, object],
    *,
    numbers: Collection[str] = (),
    spreadsheet_safe: bool = False,
) -> None:
    """Writes a table and its metadata file, each written whole before either is renamed; None is empty.

    Args:
        numbers: columns that are numbers in Parquet even where all of them are empty.
        spreadsheet_safe: put an apostrophe before text of a CSV that a spreadsheet would run as a formula. Reading
            takes it away again.
    """
    suffix = check_suffix(path)
    if spreadsheet_safe:
        metadata = {**metadata, "spreadsheet_safe": True}
    with atomic_path(path) as temporary, atomic_path(metadata_path(path)) as temporary_metadata:
        temporary_metadata.write_text(to_json(metadata) + "\n", encoding="utf-8", errors=_UNENCODABLE)
        if suffix == ".csv":
            with temporary.open("w", newline="", encoding="utf-8", errors=_UNENCODABLE) as stream:
                write_csv(stream, columns, rows, spreadsheet_safe=spreadsheet_safe)
        elif suffix == ".jsonl":
            with temporary.open("w", encoding="utf-8", errors=_UNENCODABLE) as stream:
                write_jsonl(stream, columns, rows)
        else:
            check_parquet(path)
            write_parquet(temporary, columns, rows, numbers=numbers)


def write_csv(stream: TextIO, columns: Sequence[str], rows: Iterable[Row], *, spreadsheet_safe: bool = False) -> None:
    """Writes a header and rows as CSV; see ``write_rows``."""
    plain = csv.writer(stream, lineterminator="\n")
    quoted = csv.writer(stream, lineterminator="\n", quoting=csv.QUOTE_ALL)
    shown = (lambda field: safe_cell(str(field))) if spreadsheet_safe else (lambda field: field)
    for row in [dict(zip(columns, columns, strict=True)), *rows]:
        fields = [shown(_csv_field(row.get(name))) for name in columns]
        # the plain writer leaves a lone carriage return unquoted, where readers begin a new row
        (quoted if any("\r" in str(field) for field in fields) else plain).writerow(fields)


def write_jsonl(stream: TextIO, columns: Sequence[str], rows: Iterable[Row]) -> None:
    """Writes a line of JSON for each row; see ``write_rows``."""
    for row in rows:
        stream.write(to_json({name: row.get(name) for name in columns}, indent=None) + "\n")


def _csv_field(value: object) -> object:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return repr(float(value)) if isinstance(value, float) else value  # float() for NumPy's, which repr otherwise
