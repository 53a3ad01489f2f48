"""emotune predict: any recordings to a table of emotions, or to a folder of tables."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from emotune.choices import AdaptedBy, PartFormat, PartsEngine, Precision, VadMethod
from emotune.cli import sequences
from emotune.cli.console import (
    Condition,
    Model,
    Server,
    SpreadsheetSafe,
    Words,
    inputs_named,
    leave_with,
    out,
    pairs,
    server_options,
    show_progress,
    warn_all,
)
from emotune.cli.ways import HERE, PARTS, SEQUENCES, SERVER, refuse_idle
from emotune.errors import ConfigError
from emotune.io.tables import to_json
from emotune.models.sequences.folder import find_sequences
from emotune.runtime.extras import needs

if TYPE_CHECKING:
    from emotune.inference.predict_files import PredictedFiles
    from emotune.schema.predictions import Predictions


def predict(
    context: typer.Context,
    model: Model,
    inputs: Annotated[
        list[Path],
        typer.Argument(
            readable=False,  # not checked at the door: a recording that may not be read is a row with its error
            help="Recordings, folders, a manifest, a table with a file column, a .txt list of paths, or -"
            " for a recording from standard input.",
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            help="Table to write: .csv, .jsonl or .parquet; with --part-rows a folder; else printed.",
        ),
    ] = None,
    split: Annotated[str | None, typer.Option(help="Of a manifest or table; default all of it.")] = None,
    column: Annotated[
        list[str],
        typer.Option(help="Of a table: FIELD=COLUMN for a column of another name; FIELD=none for a field without one."),
    ] = [],
    channel: Annotated[
        str, typer.Option(help="mix (the mean), a number (the first is 0), or each: a row for every channel.")
    ] = "mix",
    batch_seconds: Annotated[
        float | None, typer.Option(min=1.0, help="Audio-seconds a batch, default 40; changes speed only.")
    ] = None,
    window: Annotated[
        float | None,
        typer.Option(help="Seconds: a row for each window, of recordings of any length; default with --vad 2."),
    ] = None,
    hop: Annotated[float | None, typer.Option(help="Seconds from one window to the next; default 1.")] = None,
    vad: Annotated[
        VadMethod | None, typer.Option(help="Windows over speech alone, found by Silero's network or by energy.")
    ] = None,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, ...; default a GPU where there is one.")] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="CPU processes of one thread, a model in each; best: one a core.")
    ] = None,
    precision: Annotated[
        Precision, typer.Option(help="int8: about twice as fast on CPUs with VNNI; bf16: on GPUs; fp32: exact.")
    ] = "fp32",
    part_rows: Annotated[
        int | None,
        typer.Option(min=1, help="For very many recordings: a folder of parts that an interrupted job continues."),
    ] = None,
    part_format: Annotated[PartFormat | None, typer.Option(help="Of the parts; default parquet.")] = None,
    retry_errors: Annotated[
        bool, typer.Option("--retry-errors", help="Make parts again that hold a row with an error.")
    ] = False,
    engine: Annotated[PartsEngine, typer.Option(help="Of the parts: here, or on a Ray cluster (extra ray).")] = "local",
    coverage: Annotated[
        float | None, typer.Option(help="Answer about this share, such as 0.8; the others are 'uncertain'.")
    ] = None,
    speakers: Annotated[
        Path | None, typer.Option(help="An RTTM file of a diarisation: a row for each of its turns.")
    ] = None,
    adapt: Annotated[
        Literal["none", AdaptedBy],
        typer.Option(
            help="Adapt the answers to these recordings, without labels: by speaker, recording, or auto. Off by"
            " default: it helps where speakers show several emotions, and can cost a little where they do not."
        ),
    ] = "none",
    condition: Condition = [],
    gender_model: Annotated[str | None, typer.Option(help="In place of the model's own gender predictor.")] = None,
    asr: Annotated[str | None, typer.Option(help="In place of the model's own speech recogniser.")] = None,
    text_encoder: Annotated[str | None, typer.Option(help="In place of the model's own text encoder.")] = None,
    task: Annotated[list[str], typer.Option(help="Of a sequence model: a task; default all of its.")] = [],
    adapter: Annotated[
        list[Path], typer.Option(help="Of an encoder-decoder: the file of a task's adapter, in place of a run's own.")
    ] = [],
    spreadsheet_safe: SpreadsheetSafe = False,
    as_json: Annotated[bool, typer.Option("--json", help="Without -o: print each row as a line of JSON.")] = False,
    server: Server = None,
) -> None:
    """Predict emotions; a bad recording is a row with its error, and the exit code is then 1.

    A clip in which nothing can be heard is a row with a warning.
    """
    from emotune.inference.predict_files import predict_files

    if as_json and output is not None:
        raise ConfigError("--json prints the rows: leave out -o, or name a .jsonl with it.")
    options = {
        "batch_seconds": batch_seconds or 40.0,
        "device": device,
        "workers": workers,
        "precision": precision,
        "coverage": coverage,
        "conditions": pairs(condition, "--condition", "CONDITION=SOURCE") or None,
        "helpers": {"gender_model": gender_model, "asr": asr, "text_encoder": text_encoder},
        "spreadsheet_safe": spreadsheet_safe,
        "listener": Words(),
        "progress": show_progress,
    }
    named = inputs_named(inputs, column, split, channel, speakers)
    way = HERE if part_rows is None else PARTS
    if server is not None:
        way = SERVER
    elif adapter or find_sequences(model) is not None:
        way = SEQUENCES
    refuse_idle(context, way, model)
    if way == SEQUENCES:
        asked = {"tasks": task or None, "adapters": adapter or None, "device": device, "listener": Words()}
        asked |= {"batch_seconds": options["batch_seconds"], "spreadsheet_safe": spreadsheet_safe}
        sequences.predict_inputs(model, named, output, asked)
        return
    if server is not None:
        with needs("client", "--server"):
            from emotune.client import Client, files
        with Client(**server_options(server, model, coverage)) as client:
            found = files.predict_files(
                client,
                named,
                output,
                spreadsheet_safe=spreadsheet_safe,
                listener=Words(),
                progress=show_progress,
            )
        _tell(found, output, as_json=as_json)
        return
    if part_rows is not None:
        from emotune.inference.jobs.files import predict_files_in_parts

        if output is None:
            raise ConfigError("--part-rows needs a folder for the parts: name it with -o.")
        found = predict_files_in_parts(
            model,
            named,
            output,
            part_rows=part_rows,
            part_format=part_format or "parquet",
            retry_errors=retry_errors,
            engine=engine,
            **options,
        )
        _end(found, f"{output}: {found.rows} rows in {found.parts} parts")
        return
    windows = None
    if (window, hop, vad) != (None, None, None):
        from emotune.inference.timeline.windows import window_rule

        windows = window_rule(window, hop)
    found = predict_files(
        model,
        named,
        output,
        adapt=None if adapt == "none" else adapt,
        windows=windows,
        vad=vad or "none",
        **options,
    )
    _tell(found, output, as_json=as_json)


def _tell(found: PredictedFiles, output: Path | None, *, as_json: bool) -> None:
    if output is None and found.predictions is not None:
        if as_json:
            for row in found.predictions.to_rows():
                typer.echo(to_json(row, indent=None))
        else:
            _print(found.predictions)
    _end(found, "" if output is None else f"{output}: {found.rows} rows")


def _end(found: PredictedFiles, summary: str) -> None:
    """Say what was written and what went wrong, and leave with the exit code for it."""
    warn_all(f"{name}: {words}" for name, words in found.warnings.items())
    if found.warned:
        shown = len(found.warnings)
        more = f", the first {shown} of them above" if found.warned > shown else ""
        warn_all(
            [
                f"in {found.warned} of {found.rows} clips nothing can be heard{more}:"
                " what is predicted of them means nothing"
            ]
        )
    if summary:
        out.print(f"{summary}, {found.failed} with an error", markup=False)
    leave_with(found.errors, found.failed)


def _print(predictions: Predictions) -> None:
    for row in predictions:
        if row.error:
            continue
        parts = [f"{name} {value:.3f}" for name, value in sorted(row.probabilities.items(), key=lambda pair: -pair[1])]
        parts += [f"{name} {value:.3f}" for name, value in row.dimensions.items()]
        parts = [row.emotion or "", *parts] if row.uncertain else parts
        out.print(f"{row.utterance_id}: {', '.join(parts)}", markup=False)
