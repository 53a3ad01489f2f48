"""The rows of CSV and TSV files as spreadsheets write them, and cells that no spreadsheet runs as a formula."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from emotune.errors import TableError, quoted

_SEPARATOR_LINE = re.compile(r'"?sep=(.)"?\r?\n?', re.IGNORECASE)
_LIKE_A_FORMULA = re.compile(r"'*[=+\-@\t\r\n]")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.IGNORECASE)
_WORDS = {",": "a comma", ";": "a semicolon", "\t": "a tab"}
_HIDDEN_FORMULA = re.compile(r"'+[=+\-@\t\r\n]")


def iter_delimited(path: Path, *, delimiter: str) -> Iterator[dict[str, str | None]]:
    """The rows under a header line; an empty field is None.

    Excel's habits do no harm: semicolons where they part the header line into more fields, a first line ``sep=,``,
    spaces around names, columns without name or value at the end, rows of nothing, UTF-16. In a row between tabs
    a quotation mark that does not enclose a field is a letter.

    Raises:
        TableError: for what is broken, naming file and line.
    """
    with path.open(newline="", encoding=_encoding(path)) as stream:
        first = stream.readline()
        said = _SEPARATOR_LINE.fullmatch(first)
        if said:
            delimiter = said.group(1)
        else:
            stream.seek(0)
            delimiter = _delimiter_of(next((line for line in stream if line.strip()), ""), delimiter)
            stream.seek(0)
        quote = f"quote fields that hold {_WORDS.get(delimiter, repr(delimiter))}."
        records = _records(stream, path, delimiter, 1 if said else 0)
        _, header = next(records, (0, []))
        names = _names(header, path)
        for line, fields in records:
            if len(fields) > 1 and not any(fields):
                continue
            named, unnamed = fields[: len(names)], fields[len(names) :]
            if len(named) < len(names) or (len(fields) > len(header) and any(fields[len(header) :])):
                raise TableError(
                    f"{path}, line {line}: {len(fields)} fields, but the header has {len(header)}; {quote}"
                )
            if any(unnamed):
                raise TableError(
                    f"{path}, line {line}: {quoted(next(filter(None, unnamed)))} stands in a column without a name."
                    f" Name the column in the header, or {quote}"
                )
            yield {name: value or None for name, value in zip(names, named, strict=True)}


def _delimiter_of(header: str, expected: str) -> str:
    """Delimiter of a header line: that of its file's name, or another which parts it into more fields."""

    def fields(delimiter: str) -> int:
        try:
            return len(next(csv.reader([header], delimiter=delimiter), []))
        except csv.Error:  # which is told where the table is read
            return 0

    if expected == "\t" and expected in header:  # words between tabs hold commas
        return expected
    return max((expected, *_WORDS), key=fields)


def _encoding(path: Path) -> str:
    with path.open("rb") as stream:
        return "utf-16" if stream.read(2) in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"


def _records(stream: TextIO, path: Path, delimiter: str, above: int) -> Iterator[tuple[int, list[str]]]:
    """Yields the records that are no blank lines, each with its last line's number; ``above`` = lines above."""
    if delimiter == "\t":
        for number, line in enumerate(stream, start=above + 1):
            if line.strip("\r\n"):
                yield number, _tsv_fields(line.rstrip("\r\n"))
        return
    reader = csv.reader(stream, delimiter=delimiter, strict=True)
    try:
        for fields in reader:
            if fields:
                yield above + reader.line_num, fields
    except csv.Error as error:
        raise TableError(f"{path}, line {above + reader.line_num}: not valid CSV ({error}).") from error


def _tsv_fields(line: str) -> list[str]:
    try:
        return next(csv.reader([line], delimiter="\t", strict=True))
    except csv.Error:
        return line.split("\t")


def _names(header: list[str], path: Path) -> list[str]:
    """The columns' names, without those at the end that have none."""
    if not header:
        raise TableError(f"{path} is empty, expected a header line and one row an utterance.")
    names = [name.strip() for name in header]
    while names and not names[-1]:
        names.pop()
    if not names:
        raise TableError(f"{path}: the header line names no column.")
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise TableError(f"{path}: column names appear twice: {', '.join(name or '(no name)' for name in repeated)}.")
    return names


def safe_cell(cell: str) -> str:
    """A cell that a spreadsheet shows and does not run: an apostrophe before what begins like a formula.

    >>> safe_cell("=1+1"), safe_cell("-1.5"), safe_cell("- no")
    ("'=1+1", '-1.5', "'- no")
    """
    return f"'{cell}" if _LIKE_A_FORMULA.match(cell) and not _NUMBER.fullmatch(cell) else cell


def plain_cell(cell: str) -> str:
    """Takes back what ``safe_cell`` did.

    >>> plain_cell("'=1+1"), plain_cell("'tis")
    ('=1+1', "'tis")
    """
    return cell[1:] if _HIDDEN_FORMULA.match(cell) else cell
