"""Printing of the commands: results on standard output, progress and warnings on standard error."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer
from rich.console import Console

from emotune.errors import ConfigError, on_a_screen
from emotune.runtime.listener import Listener

if TYPE_CHECKING:
    from rich.progress import Progress

    from emotune.inference.inputs import Inputs
    from emotune.schema.labels import Scale

Item = TypeVar("Item")

Condition = Annotated[
    list[str],
    typer.Option(help="CONDITION=SOURCE, such as gender=unknown; sources: given, predicted, unknown, wrong (gender)."),
]

Model = Annotated[
    str,
    typer.Argument(help="A model folder, a run folder, an installed one (mini), or hf:owner/name[@revision]."),
]

Server = Annotated[
    str | None,
    typer.Option(help="Ask the `emotune serve` at this address, of which MODEL is the name of a model. Extra client."),
]

SpreadsheetSafe = Annotated[
    bool,
    typer.Option("--spreadsheet-safe", help="In a .csv, an apostrophe before text that would be run as a formula."),
]


KEY_VARIABLE = "EMOTUNE_KEY"
"""Environment variable of the key for a server: on the command line others could read it."""

EXIT_SOME_FAILED = 1


class _Screenful(Console):
    """A console whose messages are never longer than a screen; a quiet one says errors alone and shows no progress."""

    errors_alone = False

    def print(self, *objects: Any, **options: Any) -> None:
        if self.errors_alone and not str(objects[0] if objects else "").startswith("error: "):
            return
        super().print(*(on_a_screen(item) if isinstance(item, str) else item for item in objects), **options)

    @property
    def is_terminal(self) -> bool:
        """Tells if progress is shown."""
        return not self.errors_alone and super().is_terminal


out = Console(highlight=False, soft_wrap=True)
err = _Screenful(stderr=True, highlight=False, soft_wrap=True)


class Notes(logging.Handler):
    """Prints what rooms below the command line note, such as what came from the Hub, on standard error."""

    def emit(self, record: logging.LogRecord) -> None:
        err.print(record.getMessage(), markup=False)


class Words(Listener):
    """Prints what long work says, on standard error."""

    def say(self, message: str) -> None:
        err.print(message, style="yellow" if message.startswith("warning: ") else None, markup=False)


def show_notes() -> None:
    """Print the notes of all rooms from now on."""
    log = logging.getLogger("emotune")
    log.setLevel(logging.INFO)
    if not any(isinstance(handler, Notes) for handler in log.handlers):
        log.addHandler(Notes())


def show_progress(items: Iterable[Item], *, total: int, title: str) -> Iterator[Item]:
    """A progress bar on standard error; nothing when that is not a terminal."""
    if not err.is_terminal:
        yield from items
        return
    with progress_bar() as bar:
        yield from bar.track(items, total=total, description=title)


def progress_bar(**options: Any) -> Progress:
    """A bar on standard error with a title, how many are done, and the time so far and to come."""
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    return Progress(*columns, TimeElapsedColumn(), TimeRemainingColumn(), console=err, **options)


def table(
    title: str, columns: Sequence[str], rows: Iterable[Sequence[object]], *, right: Sequence[str] | None = None
) -> None:
    """Print a small table; the columns ``right``, by default all but the first, are right-aligned."""
    from rich.table import Table
    from rich.text import Text

    shown = Table(title=title, title_justify="left", show_edge=False, pad_edge=False)
    figures = columns[1:] if right is None else right
    for name in columns:
        shown.add_column(name, justify="right" if name in figures else "left", no_wrap=True)
    for row in rows:
        shown.add_row(*(Text(str(cell)) for cell in row))
    whole = out.measure(shown, options=out.options.update_width(10_000)).maximum
    wide = Console(highlight=False, width=max(out.width, whole))  # figures are never cut to the terminal's width
    wide.print(shown, crop=False)


def pairs(values: Sequence[str], option: str, shape: str = "NAME=VALUE") -> dict[str, str]:
    """``["a=1", "b=2"]`` as a dictionary; an error that names the option for anything else."""
    parsed = {}
    for value in values:
        name, equals, right = value.partition("=")
        if not equals or not name.strip() or not right.strip():
            raise ConfigError(f"{option} {value}: expected {shape}.")
        if name.strip() in parsed:
            raise ConfigError(f"{option} {value}: '{name.strip()}' is given twice.")
        parsed[name.strip()] = right.strip()
    return parsed


def inputs_named(
    paths: Sequence[Path], column: Sequence[str], split: str | None, channel: str, speakers: Path | None = None
) -> Inputs:
    """Inputs of a command; ``-`` among the paths is a recording from standard input.

    Raises:
        ConfigError: for ``-`` where nothing comes.
    """
    from emotune.audio.channels import channels_named
    from emotune.inference.inputs import Inputs

    named = [path for path in paths if str(path) != "-"]
    piped = None
    if len(named) < len(paths):
        piped = b"" if sys.stdin.isatty() else sys.stdin.buffer.read()
        if not piped:
            raise ConfigError("-: nothing came from standard input, expected the bytes of a recording.")
    return Inputs(named, pairs(column, "--column", "FIELD=COLUMN"), split, channels_named(channel), speakers, piped)


def number_in(text: str, where: str) -> float:
    """The number that an option holds; ``where`` names it in the error."""
    try:
        return float(text)
    except ValueError as error:
        raise ConfigError(f"{where}: '{text}' is not a number.") from error


def scales_named(values: Sequence[str]) -> dict[str, Scale]:
    """``["arousal=1:7"]`` as scales by dimension."""
    from emotune.schema.labels import Scale

    scales = {}
    for name, bounds in pairs(values, "--scale", "DIMENSION=LOW:HIGH").items():
        where = f"--scale {name}={bounds}"
        low, colon, high = bounds.partition(":")
        if not colon:
            raise ConfigError(f"{where}: expected {name}=LOW:HIGH, such as {name}=1:7.")
        scales[name] = Scale(number_in(low, where), number_in(high, where))
    return scales


def warn_all(warnings: Iterable[str]) -> None:
    """Prints warnings, one a line."""
    for warning in warnings:
        err.print(f"warning: {warning}", style="yellow", markup=False)


def leave_with(errors: Iterable[str | None], failed: int) -> None:
    """Prints errors, one a line, and leaves with the exit code for it where some of a batch failed."""
    for error in errors:
        err.print(f"error: {error}", markup=False)
    if failed:
        raise typer.Exit(EXIT_SOME_FAILED)


def counts_text(counts: Mapping[str, int]) -> str:
    """Names with their counts, on one line."""
    return ", ".join(f"{name} {count}" for name, count in counts.items())


def server_options(url: str, model: str, coverage: float | None) -> dict[str, Any]:
    """Options of the client of a server, by those of the command line."""
    return {"url": url, "model": model, "coverage": coverage, "key": os.environ.get(KEY_VARIABLE)}
