"""Cells of tables as numbers, channels and text; an empty one is None, and an error says where another one stands."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

from emotune.errors import TableError, quoted

_DECIMAL_COMMA = re.compile(r"\s*[+-]?\d+,\d+\s*")


def number_or_none(value: object, where: str) -> float | None:
    """A finite number, or None for an empty field.

    Raises:
        TableError: for anything else, at ``where``.
    """
    if value is None or value == "":
        return None
    try:
        if isinstance(value, bool):
            raise TypeError
        number = float(value)  # pyright: ignore[reportArgumentType]
    except (TypeError, ValueError, OverflowError) as error:
        comma = "; write a point in place of the comma" if _DECIMAL_COMMA.fullmatch(str(value)) else ""
        raise TableError(f"{where}: expected a number, got {quoted(value)}{comma}.") from error
    if not math.isfinite(number):
        raise TableError(f"{where}: expected a finite number or an empty field, got {quoted(value)}.")
    return number


def channel_or_none(value: object, where: str) -> int | None:
    """Number of a channel; None for the mean of all (``mix``, or empty).

    Raises:
        TableError: for anything else, at ``where``.
    """
    if isinstance(value, str) and value.strip().lower() in ("", "mix"):
        return None
    try:
        number = number_or_none(value, where)
    except TableError:
        number = -1.0
    if number is None:
        return None
    if number < 0 or number != int(number):
        raise TableError(
            f"{where}: expected the number of a channel (the first is 0), mix or nothing, got {quoted(value)}. If"
            " the column says something else, name it otherwise, or say --column channel=none."
        )
    return int(number)


def text_or_none(value: object, where: str) -> str | None:
    """A field as text, or None for an empty one (Parquet's NaN too).

    Raises:
        TableError: for a list or an object, at ``where``.
    """
    if value is None or value == "" or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, list | tuple | Mapping):
        raise TableError(f"{where}: expected text, got {quoted(value)}. One value a field.")
    return str(value)
