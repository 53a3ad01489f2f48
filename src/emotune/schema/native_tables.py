"""Rows as a table of pandas, Polars or Arrow: numbers as numbers, text as text, what is missing as missing."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Literal

from emotune.runtime.extras import needs

Row = Mapping[str, Any]
Library = Literal["pandas", "polars", "pyarrow"]
EXTRAS: Mapping[Library, str] = {"pandas": "pandas", "polars": "polars", "pyarrow": "tables"}
"""Extras that bring each library."""

_FROM = 1 << 63  # a whole number from here on, or as far below 0, is none of 64 bits


def native_table(columns: Sequence[str], rows: Sequence[Row], numbers: Collection[str], library: Library) -> Any:
    """Rows as a table of another library.

    Args:
        columns: of the table, in their order.
        rows: by column.
        numbers: columns that are numbers even where all of them are missing. Any other column is of numbers or truth
            values where all its values are, and else of text.
        library: of the table.

    Raises:
        ConfigError: where the library is not installed.
    """
    with needs(EXTRAS[library], f"A table of {library}"):
        import narwhals as nw  # noqa: PLC0415 (of an extra)

        values = {name: [row.get(name) for row in rows] for name in columns}
        types = {name: nw.Float64() if name in numbers else _type_of(column, nw) for name, column in values.items()}
        cells = {name: _cells(column, types[name], nw) for name, column in values.items()}
        return nw.from_dict(cells, types, backend=library).to_native()


def _type_of(values: Sequence[object], nw: Any) -> Any:
    """The type that holds all values; missing truth values would become False in pandas, so they are text."""
    kinds = {type(value) for value in values}
    if kinds == {bool}:
        return nw.Boolean()
    if not kinds & {int, float} or not kinds <= {int, float, type(None)}:
        return nw.String()
    if not all(-_FROM <= value < _FROM for value in values if isinstance(value, int)):
        return nw.String()
    return nw.Int64() if kinds == {int} else nw.Float64()


def _cells(values: Sequence[Any], kind: Any, nw: Any) -> list[Any]:
    of_type = {nw.Float64(): float, nw.String(): _text}.get(kind)
    return list(values) if of_type is None else [None if value is None else of_type(value) for value in values]


def _text(value: object) -> str:
    """A value as text; a file name that is not UTF-8 is spelt with escapes."""
    return str(value).encode(errors="backslashreplace").decode()
