"""emotune timeline: recordings of any length to segments with times, in the formats of annotation tools."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from emotune.choices import VadMethod
from emotune.cli.console import (
    Model,
    Server,
    Words,
    err,
    inputs_named,
    leave_with,
    out,
    server_options,
    show_progress,
    table,
)
from emotune.cli.ways import SERVER, refuse_idle
from emotune.runtime.extras import needs

if TYPE_CHECKING:
    from emotune.timelines import Timeline, Timelines


def timeline(
    context: typer.Context,
    model: Model,
    inputs: Annotated[
        list[Path],
        typer.Argument(readable=False, help="Recordings of any length, folders, tables, a .txt list of paths, or -."),
    ],
    output: Annotated[
        list[Path],
        typer.Option(
            "-o",
            "--output",
            help="File to write: .json, .csv, .jsonl, .parquet, .rttm, .TextGrid, .txt (Audacity), .vtt or .eaf; may be"
            " given again. {name} in it: a file for each recording. Without any, segments are printed.",
        ),
    ] = [],
    window: Annotated[float | None, typer.Option(help="Seconds that the model hears at a time; default 2.")] = None,
    hop: Annotated[float | None, typer.Option(help="Seconds from one window to the next; default 1.")] = None,
    vad: Annotated[VadMethod | None, typer.Option(help="How speech is found; default silero.")] = None,
    channel: Annotated[
        str, typer.Option(help="mix (the mean), a number (the first is 0), or each: a voice on every channel.")
    ] = "mix",
    speakers: Annotated[
        Path | None, typer.Option(help="An RTTM file with speaker turns, in place of voice activity.")
    ] = None,
    coverage: Annotated[
        float | None, typer.Option(help="Answer about this share, such as 0.8; the others are 'uncertain'.")
    ] = None,
    summary: Annotated[
        Path | None, typer.Option(help="Table to write: a row for each voice of each recording.")
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(help="Picture to write, .svg, .png or .pdf; {name} as in --output. Extra report.")
    ] = None,
    page: Annotated[Path | None, typer.Option(help="HTML page to write: summaries and pictures. Extra report.")] = None,
    split: Annotated[str | None, typer.Option(help="Of a manifest or table; default all of it.")] = None,
    column: Annotated[
        list[str],
        typer.Option(help="Of a table: FIELD=COLUMN for a column of another name; FIELD=none for a field without one."),
    ] = [],
    device: Annotated[str | None, typer.Option(help="cpu, cuda, ...; default a GPU where there is one.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="CPU processes of one thread, a model in each.")] = None,
    server: Server = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a document of JSON, as -o FILE.json writes it, and nothing else.")
    ] = False,
) -> None:
    """Show what a recording's voices express from moment to moment.

    A bad recording is a row with its error, and the exit code is then 1.
    """
    from emotune.inference.timeline.files import timeline_files
    from emotune.inference.timeline.recording import TimelineRule
    from emotune.inference.timeline.windows import window_rule

    named = inputs_named(inputs, column, split, channel)
    rule = TimelineRule(window_rule(window, hop), vad)
    if server is not None:
        refuse_idle(context, SERVER, model)
        with needs("client", "--server"):
            from emotune.client import Client, files
        with Client(**server_options(server, model, coverage)) as client:
            found = files.timeline_files(
                client, named, output, summary=summary, rule=rule, listener=Words(), progress=show_progress
            )
        _show(found, [*output, *(path for path in (summary,) if path is not None)], as_json=as_json)
        return
    pages = None
    if plot is not None or page is not None:
        with needs("report", "A picture or a page"):
            from emotune.report import timeline_page as pages
        pages.check_pictures(plot, page)
    found = timeline_files(
        model,
        named,
        output,
        summary=summary,
        pictures=[] if plot is None else [plot],
        speakers=speakers,
        rule=rule,
        coverage=coverage,
        device=device,
        workers=workers,
        listener=Words(),
        progress=show_progress,
    )
    if pages is not None and plot is not None:
        pages.write_timeline_pictures(plot, found)
    if pages is not None and page is not None:
        pages.write_timeline_page(page, found)
    _show(found, [*output, *(path for path in (summary, plot, page) if path is not None)], as_json=as_json)


_ONE_VOICE = (
    "note: all speech of a recording is taken for one voice: --channel each parts those on channels of their own,"
    " --speakers FILE.rttm those that share one"
)


def _show(found: Timelines, written: list[Path], *, as_json: bool) -> None:
    """Prints summaries, and segments where no file was asked for; leaves with the exit code for failures."""
    from emotune.timelines import Track
    from emotune.timelines.formats.json_document import json_text

    whole = [one for one in found if one.error is None]
    if as_json:
        typer.echo(json_text(found), nl=False)
    elif not written:
        for one in whole:
            _print(one)
    else:
        _print_summaries(found)
        out.print(f"{', '.join(map(str, written))}: {len(whole)} of {len(found)} recordings", markup=False)
    if any(one.segments and one.tracks == (Track(),) for one in whole):  # no channel was asked for
        err.print(_ONE_VOICE, markup=False)
    leave_with(found.errors, len(found.errors))


def _print(one: Timeline) -> None:
    from emotune.timelines.formats.table import rows_of

    out.print(f"{one.recording}, {one.duration_s:.1f} s", markup=False)
    for row in (row for row in rows_of(one) if row.get("error") is None):
        track = " ".join(str(row[name]) for name in ("channel", "speaker") if row.get(name) is not None)
        shares = {name[2:]: value for name, value in row.items() if name.startswith("p.")}
        best = sorted(shares.items(), key=lambda pair: -pair[1])[:3]
        parts = [f"{name} {value:.2f}" for name, value in best]
        parts += [f"{name} {row[name]:.2f}" for name in one.label_space.dimensions if row.get(name) is not None]
        answer = f"{row['emotion'] or ''}{': ' if row['emotion'] and parts else ''}{', '.join(parts)}"
        out.print(f"{row['start_s']:9.2f} {row['end_s']:9.2f}  {track + '  ' if track else ''}{answer}", markup=False)


def _print_summaries(found: Timelines) -> None:
    from emotune.timelines.summary import summaries

    rows = [
        (
            one.recording + (f", {one.track.name}" if one.track.name else ""),
            f"{one.duration_s:.1f}",
            f"{one.speech_s:.1f}",
            *(f"{share:.0%}" for share in one.shares.values()),
            f"{one.uncertain:.0%}",
            one.changes,
        )
        for one in summaries(found)
    ]
    classes = found.label_space.classes
    table("", ["recording", "seconds", "speech", *classes, "uncertain", "changes"], rows)
