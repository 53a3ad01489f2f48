"""The command line. One file a command; torch is imported only by the commands that need it."""

from __future__ import annotations

import io
import os
import sys
from typing import Any

import typer
from typer.core import TyperGroup

from emotune.cli import (
    adapt,
    adjust,
    annotate,
    compare,
    corpus,
    embed,
    evaluate,
    export,
    fuse,
    gender,
    imports,
    listen,
    models,
    predict,
    probe,
    recipes,
    serve,
    study,
    submit,
    timeline,
    train,
    transcribe,
    version,
)
from emotune.cli.console import show_notes
from emotune.errors import EmotuneError, on_a_screen
from emotune.runtime import interruption
from emotune.runtime.memory_allocator import keep_few_kernels, keep_freed_memory
from emotune.runtime.threads import spin_briefly


class Commands(TyperGroup):
    """The commands, whose words for a value that is none of the choices are without those of the library below."""

    def invoke(self, ctx: Any) -> Any:
        """Runs a command."""
        try:
            return super().invoke(ctx)
        except typer.BadParameter as error:
            error.message = error.message.removeprefix("Value error, ")
            raise


app = typer.Typer(
    cls=Commands,
    name="emotune",
    help="Adapt pretrained speech encoders to speech emotion recognition, evaluate honestly, predict.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.callback()(version.options)
app.add_typer(corpus.app, name="corpus")
app.add_typer(recipes.app, name="recipes")
app.add_typer(imports.app, name="import")
app.command("explain")(recipes.explain)
app.command("protocols")(recipes.protocols)
app.command("studies")(study.studies)
app.command("train")(train.train)
app.command("probe")(probe.probe)
app.command("baseline")(probe.baseline)
app.command("study")(study.study)
app.command("evaluate")(evaluate.evaluate)
app.command("compare")(compare.compare)
app.command("fuse")(fuse.fuse)
app.command("adjust")(adjust.adjust)
app.command("submit")(submit.submit)
app.command("predict")(predict.predict)
app.command("embed")(embed.embed)
app.command("models")(models.models)
app.command("adapt")(adapt.adapt)
app.command("export")(export.export)
app.command("listen")(listen.listen)
app.command("timeline")(timeline.timeline)
app.command("serve")(serve.serve)
app.command("gender")(gender.gender)
app.command("transcribe")(transcribe.transcribe)
app.command("annotate")(annotate.annotate)
app.command("codebook")(annotate.codebook)


def main() -> None:
    """Entry point: an error on user input is one message on standard error and exit code 2, never a traceback.

    Ctrl-C ends with 130 and SIGTERM with 143, at once and with a word.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a file name that the terminal cannot spell is printed escaped
            stream.reconfigure(errors="backslashreplace")
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
        sys.exit(2)
