"""emotune listen: a rolling estimate of emotion from a microphone, a file or a pipe."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from emotune.choices import SampleEncoding, VadMethod
from emotune.cli.console import Model, Words, err, leave_with, out
from emotune.errors import AudioError, ConfigError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from emotune.audio.live import Source
    from emotune.inference.stream import Estimate

_BAR = 28


def listen(
    model: Model,
    source: Annotated[
        str | None,
        typer.Option(
            help="A recording, or with --encoding a file or pipe of raw samples, - for standard input;"
            " default the microphone (extra live)."
        ),
    ] = None,
    encoding: Annotated[
        SampleEncoding | None, typer.Option(help="Of raw samples; pcm16 has the lower byte first.")
    ] = None,
    rate: Annotated[int | None, typer.Option(help="Of raw samples in Hz, such as 8000.")] = None,
    channels: Annotated[int, typer.Option(min=1, max=32, help="Of raw samples; their mean is heard.")] = 1,
    microphone: Annotated[str | None, typer.Option(help="Number or part of the name of the microphone.")] = None,
    window: Annotated[float, typer.Option(help="Seconds that an estimate looks back on.")] = 3.0,
    hop: Annotated[float, typer.Option(help="Seconds from one estimate to the next.")] = 0.5,
    smoothing: Annotated[float, typer.Option(help="Seconds in which an old estimate fades; 0 = none.")] = 1.0,
    vad: Annotated[VadMethod | None, typer.Option(help="How speech is found; default silero.")] = None,
    jsonl: Annotated[bool, typer.Option("--jsonl", help="Print each estimate as a line of JSON.")] = False,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, ...; default a GPU where there is one.")] = None,
    coverage: Annotated[
        float | None, typer.Option(help="Answer about this share, such as 0.8; the others are 'uncertain'.")
    ] = None,
) -> None:
    """Listen, and estimate the emotion of the last seconds at least twice a second. Ctrl-C ends it with a summary.

    Where the model is slower than the sound, the newest window is answered and the ones before it are skipped.
    """
    from emotune.inference.listen import Summary
    from emotune.inference.listen import listen as estimates_of
    from emotune.inference.loading import load
    from emotune.inference.stream import Stream

    sound = _source(source, encoding, rate, channels, microphone)
    stream = Stream(
        load(model, device=device, coverage=coverage),
        window_s=window,
        hop_s=hop,
        smoothing_s=smoothing,
        voice_activity=vad,
    )
    summary = Summary()
    try:
        with _shown(jsonl=jsonl) as show:
            for estimate in estimates_of(stream, sound, summary=summary, listener=Words()):
                show(estimate)
    except KeyboardInterrupt:
        pass
    except AudioError as error:  # a recording that cannot be used, as of `emotune predict`
        leave_with([str(error)], 1)
    except BrokenPipeError:  # whoever read the lines has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    err.print(summary.text(), markup=False)


def _source(
    source: str | None, encoding: SampleEncoding | None, rate: int | None, channels: int, microphone: str | None
) -> Source:
    from emotune.audio.live import Microphone, Played, RawSound, raw_blocks, recorded_blocks

    if source is None:
        if encoding is not None or rate is not None:
            raise ConfigError("--encoding and --rate describe raw samples: name them with --source.")
        return Microphone(microphone)
    if microphone is not None:
        raise ConfigError("Listen to either --source or --microphone.")
    if encoding is None:
        if source == "-" or rate is not None:
            raise ConfigError("Raw samples have no header: say how they are encoded, with --encoding and --rate.")
        return Played(recorded_blocks(source))
    if rate is None:
        raise ConfigError(f"--encoding {encoding} needs --rate, such as 8000.")
    return Played(raw_blocks(0 if source == "-" else Path(source), RawSound(encoding, rate, channels)))


@contextmanager
def _shown(*, jsonl: bool) -> Iterator[Callable[[Estimate], None]]:
    """A function that shows an estimate: as a line of JSON, as bars in a terminal, or else as a line of text."""
    from rich.live import Live

    from emotune.io.tables import to_json

    if out.is_terminal and not jsonl:
        with Live(console=out, auto_refresh=False) as screen:
            yield lambda estimate: screen.update(bars(estimate), refresh=True)
        return

    def write(estimate: Estimate) -> None:
        out.file.write((to_json(estimate.to_json(), indent=None) if jsonl else line(estimate)) + "\n")
        out.file.flush()

    yield write


def line(estimate: Estimate) -> str:
    """An estimate as a line of text."""
    answer = estimate.prediction
    parts = [f"{estimate.end_s:7.1f} s", estimate.emotion or ""]
    if answer is not None:
        ranked = sorted(answer.probabilities.items(), key=lambda pair: -pair[1])
        parts += [f"{name} {value:.2f}" for name, value in [*ranked, *answer.dimensions.items()]]
        parts += [answer.error] if answer.error else []
    parts.append(f"lag {estimate.lag_s:.2f} s")
    return "  ".join([*filter(None, parts), *([f"{estimate.skipped} skipped"] if estimate.skipped else [])])


def bars(estimate: Estimate) -> RenderableType:
    """An estimate as a small table: a bar for each class, values of dimensions, and how far behind it is."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    answer = estimate.prediction
    shown = Table.grid(padding=(0, 2))
    for _ in range(3):
        shown.add_column(no_wrap=True)
    voice = "● speech" if estimate.is_speaking else "○ no speech"
    shown.add_row(
        Text(voice, style="green" if estimate.is_speaking else "dim"),
        Text(estimate.emotion or "", style="bold"),
        Text(f"{estimate.end_s:.1f} s, lag {estimate.lag_s:.2f} s", style="dim"),
    )
    if answer is not None:
        for name, value in answer.probabilities.items():
            style = "cyan" if name == answer.most_probable else "blue"
            bar = Text("█" * round(value * _BAR), style=style) + Text("·" * (_BAR - round(value * _BAR)), style="dim")
            shown.add_row(name, bar, f"{value:.2f}")
        for name, value in answer.dimensions.items():
            shown.add_row(name, "", f"{value:.2f}")
    notes: list[Text] = []
    if answer is not None and answer.error:
        notes.append(Text(answer.error, style="red"))
    if estimate.skipped:
        notes.append(Text(f"the model is behind: {estimate.skipped} windows skipped", style="yellow"))
    return Group(shown, *notes)
