"""Parquet tables, by pyarrow, which is imported where one is read or written."""

from __future__ import annotations

import importlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from emotune.errors import TableError
from emotune.io.nested_json import parse_json


def check_parquet(path: Path) -> None:
    """Refuses a table where pyarrow is missing.

    Raises:
        TableError: that names the extra.
    """
    _pyarrow_parquet(path)


def _pyarrow_parquet(path: Path) -> Any:
    try:
        return importlib.import_module("pyarrow.parquet")
    except ImportError as error:
        raise TableError(
            f"{path}: Parquet needs the extra 'tables' (pip install 'emotune[tables]'); CSV and JSONL do not."
        ) from error


def iter_parquet(path: Path) -> Iterator[dict[str, Any]]:
    """Yields the rows of a table; numbers that stand for classes become their names.

    Raises:
        TableError: for what is no Parquet, and where pyarrow is missing.
    """
    parquet = _pyarrow_parquet(path)
    try:
        file = parquet.ParquetFile(path)
        class_names = _class_names(file.schema_arrow.metadata or {})
        large = any("binary" in str(column.type) for column in file.schema_arrow)  # recordings, perhaps
        for batch in file.iter_batches(batch_size=16 if large else 65536):
            for row in batch.to_pylist():
                for column, names in class_names.items():
                    row[column] = _class_name(row.get(column), names)
                yield row
    except Exception as error:  # pyarrow raises its own and OSError alike for a file that is not Parquet
        raise TableError(f"{path} cannot be read as Parquet: {error}.") from error


def _class_names(metadata: Mapping[bytes, bytes]) -> dict[str, list[str]]:
    """The columns of numbers that stand for classes, in a table of Hugging Face's ``datasets``, and their names."""
    try:
        features = parse_json(metadata[b"huggingface"].decode())["info"]["features"]
        return {
            column: feature["names"]
            for column, feature in features.items()
            if isinstance(feature, dict) and feature.get("_type") == "ClassLabel" and feature.get("names")
        }
    except (KeyError, ValueError, TypeError, AttributeError):  # none of theirs
        return {}


def _class_name(value: object, names: Sequence[str]) -> object:
    """The name behind a number; theirs is -1 where nothing is known."""
    if value == -1:
        return None
    return names[value] if isinstance(value, int) and 0 <= value < len(names) else value


def write_parquet(
    path: Path, columns: Sequence[str], rows: Sequence[Mapping[str, Any]], *, numbers: Collection[str] = ()
) -> None:
    """Writes a table; see ``emotune.io.tables.write_rows``.

    Raises:
        TableError: where pyarrow is missing.
    """
    parquet = _pyarrow_parquet(path)
    pyarrow = importlib.import_module("pyarrow")
    table = pyarrow.table({name: _column(pyarrow, rows, name, name in numbers) for name in columns})
    parquet.write_table(table, path)


def _column(pyarrow: Any, rows: Sequence[Mapping[str, Any]], name: str, is_number: bool) -> Any:
    values = [row.get(name) for row in rows]
    if is_number:
        return pyarrow.array(values, type=pyarrow.float64())
    if all(value is None for value in values):
        return pyarrow.array(values, type=pyarrow.string())
    try:
        return pyarrow.array(values)
    except (pyarrow.ArrowInvalid, pyarrow.ArrowTypeError, OverflowError, UnicodeEncodeError):
        texts = [None if value is None else str(value).encode(errors="backslashreplace").decode() for value in values]
        return pyarrow.array(texts)  # a user's own column of mixed types stays readable
