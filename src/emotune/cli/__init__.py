"""The command line. One file a command; torch is imported only by the commands that need it."""

from __future__ import annotations

import io
import os
import sys

import typer

from emotune.cli import version
from emotune.cli.commands import Commands
from emotune.cli.console import show_notes
from emotune.errors import EmotuneError, on_a_screen, page_here
from emotune.runtime import interruption
from emotune.runtime.memory_allocator import keep_few_kernels, keep_freed_memory
from emotune.runtime.process import collect_seldom
from emotune.runtime.threads import spin_briefly

app = typer.Typer(
    cls=Commands,
    name="emotune",
    help="Adapt pretrained speech encoders to speech emotion recognition, evaluate honestly, predict.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.callback()(version.options)


def main() -> None:
    """Entry point: an error on user input is one message on standard error and exit code 2, never a traceback.

    Ctrl-C ends with 130 and SIGTERM with 143, at once and with a word.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a file name that the terminal cannot spell is printed escaped
            stream.reconfigure(errors="backslashreplace")
    collect_seldom()
    keep_few_kernels()
    keep_freed_memory()
    spin_briefly()
    if _process() == "0":
        show_notes()
    with interruption.listening():
        try:
            _run()
        except BaseException as error:
            if interruption.came() is None or (isinstance(error, SystemExit) and not error.code):
                raise
            print(interruption.in_words(), file=sys.stderr)  # noqa: T201 (the command line speaks here)
            interruption.leave()


def _process() -> str:
    """Its number, of a process that a launcher such as torchrun started."""
    return os.environ.get("RANK", "0")


def _run() -> None:
    try:
        app()
    except (EmotuneError, OSError) as error:  # OSError: what the system refuses, with its own words and the path
        if interruption.came() is None:
            where = "" if _process() == "0" else f"process {_process()}: "
            print(f"{where}error: {on_a_screen(str(error))}", file=sys.stderr)  # noqa: T201
            if isinstance(error, EmotuneError):
                print(f"more: {page_here(error.page)}", file=sys.stderr)  # noqa: T201
        sys.exit(2)
