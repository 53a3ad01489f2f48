"""The commands: a sentence of help for each, and its module, which is imported once the command is asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from emotune.errors import ConfigError

SENTENCES: Mapping[str, str] = {
    "env": "Show versions, cores, GPU, extras and caches here, what is missing and the cure; nothing is changed.",
    "explain": "Explains keys of a recipe: type and range, default, meaning.",
    "protocols": "List the evaluation protocols that come with emotune, for protocol=NAME.",
    "studies": "List the studies that come with emotune.",
    "train": "Fine-tune a speech encoder; the run folder holds model, predictions and report.",
    "probe": "Linear probe on the frozen encoder: layer chosen on development, or by leaving speakers out.",
    "baseline": "Pitch and energy statistics with logistic regression: what an encoder should beat.",
    "study": (
        "Train what is missing of a study, compare each step with the one before, and write one table and one page."
    ),
    "sweep": "Search a recipe's options, each compared arm by as many trials; several processes may share the folder.",
    "evaluate": "Score a split that training did not see: table of predictions, report.json and report.html.",
    "compare": (
        "Paired comparison over speakers: scores, differences with intervals, p, and what could have been found."
    ),
    "fuse": (
        "Fit on one part of development, report on the other, fuse a split: predictions.csv, fusion.json and .html."
    ),
    "adjust": "Shift the classes of predictions to another prior, or by thresholds that are best on development.",
    "submit": "Write a challenge's file: FileName,EmoClass or FileName,EmoAct,EmoVal,EmoDom.",
    "predict": "Predict emotions; a bad recording is a row with its error, and the exit code is then 1.",
    "embed": "Embed recordings with a model or a bare encoder; layer and frame rate stand in the metadata.",
    "models": ("List the models that `emotune predict` takes by name: licence, size, classes, published figures."),
    "adapt": "Adapt a model to recordings without labels: a small folder that `emotune predict` takes as a model.",
    "export": "Export a model as ONNX: samples in, named answers out; `emotune predict` runs it without torch.",
    "push": "Upload a model to the Hugging Face Hub: its own files and a card whose metadata is complete.",
    "listen": "Listen, and estimate the emotion of the last seconds at least twice a second.",
    "timeline": "Show what a recording's voices express from moment to moment.",
    "serve": "Serve models over HTTP and WebSocket, with a page at /.",
    "gender": "Fill the column gender_predicted, for models that take gender as a condition.",
    "transcribe": (
        "Transcribe a manifest's recordings into its column text_predicted; what was transcribed before is not again."
    ),
    "annotate": (
        "Ask a language model for the emotion of each utterance; its answers become votes of the rater llm:MODEL."
    ),
    "codebook": "Cluster an encoder's frames into discrete speech codes, and report how many of them are used.",
    "corpus": "Read a corpus into a manifest, look at it, join it with others, split it.",
    "recipes": "List the recipes that come with emotune, or show one.",
    "new": "Write a file to start from.",
    "import": "Bring models and encoders of others into folders that emotune works with.",
}
"""Command -> the first sentence of its own help, so that a list of all commands imports none of them."""


class Command(TyperCommand):
    """A command that refuses an option which is no list and is given twice."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Reads the words of the command line.

        Raises:
            ConfigError: naming the option that is given again.
        """
        given = [] if ctx.resilient_parsing else self.make_parser(ctx).parse_args(list(args))[2]
        for at, option in enumerate(given):
            once = not getattr(option, "multiple", True) and not getattr(option, "is_flag", True)
            if once and option in given[:at]:
                raise ConfigError(f"{option.opts[-1]} is given twice, and would be taken once: leave one out.")
        return super().parse_args(ctx, args)


class ByName(Mapping[str, Any]):
    """Commands of the command line by name, each made when it is asked for.

    Args:
        registered: others, that are there already.
    """

    def __init__(self, registered: Mapping[str, Any]) -> None:
        self.registered = registered

    def __getitem__(self, name: str) -> Any:
        if name not in SENTENCES:
            return self.registered[name]
        command = _command(name)
        if isinstance(command, typer.Typer):
            for one in command.registered_commands:
                one.cls = Command
            return typer.main.get_group(command)  # without options of completion, which are those of `emotune`
        app = _app()
        app.command(name, cls=Command)(command)
        return typer.main.get_command(app)

    def __iter__(self) -> Iterator[str]:
        return iter([*SENTENCES, *self.registered])

    def __len__(self) -> int:
        return len(SENTENCES) + len(self.registered)


class Commands(TyperGroup):
    """The commands, whose words for a value that is none of the choices are without those of the library below."""

    def __init__(self, *, commands: Mapping[str, Any] | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.by_name = ByName(commands or {})
        self.commands = self.by_name  # pyright: ignore[reportAttributeAccessIssue] (nothing writes into it)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Lists the commands, each with its sentence."""
        with formatter.section("Commands"):
            others = self.by_name.registered.items()
            formatter.write_dl([*SENTENCES.items(), *((name, command.help or "") for name, command in others)])

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Takes ``--quiet`` wherever it stands among the words."""
        words = args[: args.index("--")] if "--" in args else args
        if "--quiet" in words:
            args = ["--quiet", *(word for word in words if word != "--quiet"), *args[len(words) :]]
        return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Runs a command."""
        try:
            return super().invoke(ctx)
        except typer.BadParameter as error:
            error.message = error.message.removeprefix("Value error, ")
            raise


def _app() -> typer.Typer:
    """An application of one command, whose options are its own alone."""
    return typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


def _command(name: str) -> Any:  # noqa: PLR0912, PLR0915 (two lines a command)
    """Function or application of a command."""
    match name:
        case "env":
            from emotune.cli.environment import env as command
        case "explain":
            from emotune.cli.recipes import explain as command
        case "protocols":
            from emotune.cli.recipes import protocols as command
        case "studies":
            from emotune.cli.study import studies as command
        case "train":
            from emotune.cli.train import train as command
        case "probe":
            from emotune.cli.probe import probe as command
        case "baseline":
            from emotune.cli.probe import baseline as command
        case "study":
            from emotune.cli.study import study as command
        case "sweep":
            from emotune.cli.sweep import sweep as command
        case "evaluate":
            from emotune.cli.evaluate import evaluate as command
        case "compare":
            from emotune.cli.compare import compare as command
        case "fuse":
            from emotune.cli.fuse import fuse as command
        case "adjust":
            from emotune.cli.adjust import adjust as command
        case "submit":
            from emotune.cli.submit import submit as command
        case "predict":
            from emotune.cli.predict import predict as command
        case "embed":
            from emotune.cli.embed import embed as command
        case "models":
            from emotune.cli.models import models as command
        case "adapt":
            from emotune.cli.adapt import adapt as command
        case "export":
            from emotune.cli.export import export as command
        case "push":
            from emotune.cli.push import push as command
        case "listen":
            from emotune.cli.listen import listen as command
        case "timeline":
            from emotune.cli.timeline import timeline as command
        case "serve":
            from emotune.cli.serve import serve as command
        case "gender":
            from emotune.cli.gender import gender as command
        case "transcribe":
            from emotune.cli.transcribe import transcribe as command
        case "annotate":
            from emotune.cli.annotate import annotate as command
        case "codebook":
            from emotune.cli.annotate import codebook as command
        case "corpus":
            from emotune.cli.corpus import app as command
        case "recipes":
            from emotune.cli.recipes import app as command
        case "new":
            from emotune.cli.new import app as command
        case "import":
            from emotune.cli.imports import app as command
        case _:
            raise KeyError(name)
    return command
