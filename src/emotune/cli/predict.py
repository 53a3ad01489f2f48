"""emotune predict: any recordings to a table of emotions, or to a folder of tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from emotune.audio.channels import Channels, channels_named
from emotune.cli.console import Condition, SpreadsheetSafe, err, out, pairs, show_progress, warn_all
from emotune.conditions.origins import unknown_though_asked
from emotune.corpora.base import split_name
from emotune.corpora.table_columns import columns_text
from emotune.errors import ConfigError
from emotune.inference import load
from emotune.inference.inputs import columns_taken, items_of, passed_over_text
from emotune.inference.items import Item
from emotune.inference.jobs.parts import PredictionParts, parts_in, predict_in_parts
from emotune.io.tables import SUFFIXES, check_output
from emotune.runtime.extras import needs
from emotune.schema.predictions import Predictions

EXIT_SOME_FAILED = 1
_ERRORS_SHOWN = 20


class EngineName(StrEnum):
    """Place where the parts of a job are predicted."""

    local = "local"
    ray = "ray"


class Format(StrEnum):
    """Format of the tables of a job."""

    parquet = "parquet"
    csv = "csv"
    jsonl = "jsonl"


def predict(
    model: Annotated[str, typer.Argument(help="A model folder, a run folder, or hf:owner/name[@revision].")],
    inputs: Annotated[
        list[Path],
        typer.Argument(
            readable=False,  # not checked at the door: a recording that may not be read is a row with its error
            help="Recordings, folders, a manifest, a table with a file column, or a .txt list of paths.",
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
    batch_seconds: Annotated[float, typer.Option(min=1.0, help="Audio-seconds a batch; changes speed only.")] = 40.0,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, ...; default a GPU where there is one.")] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="CPU processes of one thread, a model in each; best: one a core.")
    ] = None,
    part_rows: Annotated[
        int | None,
        typer.Option(min=1, help="For very many recordings: a folder of parts that an interrupted job continues."),
    ] = None,
    part_format: Annotated[Format | None, typer.Option(help="Of the parts; default parquet.")] = None,
    retry_errors: Annotated[
        bool, typer.Option("--retry-errors", help="Make parts again that hold a row with an error.")
    ] = False,
    engine: Annotated[
        EngineName, typer.Option(help="Of the parts: here, or on a Ray cluster (extra ray).")
    ] = EngineName.local,
    coverage: Annotated[
        float | None, typer.Option(help="Answer about this share, such as 0.8; the others are 'uncertain'.")
    ] = None,
    condition: Condition = [],
    gender_model: Annotated[str | None, typer.Option(help="In place of the model's own gender predictor.")] = None,
    asr: Annotated[str | None, typer.Option(help="In place of the model's own speech recogniser.")] = None,
    text_encoder: Annotated[str | None, typer.Option(help="In place of the model's own text encoder.")] = None,
    spreadsheet_safe: SpreadsheetSafe = False,
) -> None:
    """Predict emotions; a bad recording is a row with its error, and the exit code is then 1.

    A clip in which nothing can be heard is a row with a warning.
    """
    channels = channels_named(channel)
    asked = pairs(condition, "--condition", "CONDITION=SOURCE")
    helpers = {"gender_model": gender_model, "asr": asr, "text_encoder": text_encoder}
    answering = {"coverage": coverage, "conditions": asked or None}
    options = {"batch_seconds": batch_seconds, **answering, "helpers": helpers}
    passed_over = Counter[str]()
    columns = pairs(column, "--column", "FIELD=COLUMN")
    named = partial(_items, inputs, columns, split, channels, passed_over)
    for path, taken, notes in columns_taken(inputs, columns):
        err.print(f"{path}: columns taken: {columns_text(taken)}", markup=False)
        warn_all(f"{path}: {note}" for note in notes)
    if part_rows is not None:
        if output is None:
            raise ConfigError("--part-rows needs a folder for the parts: name it with -o.")
        if output.suffix in SUFFIXES and not output.is_dir():
            raise ConfigError(f"--part-rows writes a folder: name it without {output.suffix}, see --part-format.")
        job = _ray_job if engine is EngineName.ray else _local_job
        fingerprint, run = job(model, device, workers, options)
        opened = parts_in(
            output,
            part_rows=part_rows,
            suffix=f".{part_format or Format.parquet}",
            model_fingerprint=fingerprint,
            options={**answering, **helpers},
            retry_errors=retry_errors,
            spreadsheet_safe=spreadsheet_safe,
        )
        parts = _made(named, opened, run)
        _say(passed_over)
        warn_all(unknown_though_asked(asked, (row.conditions_used for table in parts.tables() for row in table)))
        _warn_of_unheard(parts.warnings(_ERRORS_SHOWN), parts.warned, parts.rows)
        _end(f"{output}: {parts.rows} rows in {len(parts.parts)} parts", parts.failed, parts.errors(_ERRORS_SHOWN))
        return
    if part_format is not None or retry_errors:
        raise ConfigError("--part-format and --retry-errors go with --part-rows.")
    if engine is not EngineName.local:
        raise ConfigError(
            "--engine ray writes a folder of parts: say how large they are with --part-rows, such as 2000."
        )
    if output is not None:
        check_output(output, inputs=inputs, spreadsheet_safe=spreadsheet_safe)
    items = list(named())
    _say(passed_over)
    predictor = load(model, device=device, workers=workers, **options)
    warn_all(predictor.conditioner.notes)
    predictions = predictor.predict_items(items, progress=show_progress)
    if output is None:
        _print(predictions)
    else:
        predictions.write(output, spreadsheet_safe=spreadsheet_safe)
    warn_all(unknown_though_asked(asked, (row.conditions_used for row in predictions)))
    _warn_of_unheard(predictions.warnings, len(predictions.warnings), len(predictions))
    errors = [row.error or "" for row in predictions.failed]
    _end("" if output is None else f"{output}: {len(predictions)} rows", len(errors), errors[:_ERRORS_SHOWN])


def _say(passed_over: Mapping[str, int]) -> None:
    if passed_over:
        err.print(passed_over_text(passed_over), markup=False)


def _items(
    inputs: list[Path], columns: Mapping[str, str], split: str | None, channel: Channels, passed_over: Counter[str]
) -> Iterator[Item]:
    """Recordings to predict; an error when there are none."""
    empty, splits = True, set[str]()
    for item in items_of(inputs, columns=columns, channel=channel, passed_over=passed_over):
        splits.add(item.split or "(none)")
        if split is None or item.split in (split, split_name(split)):
            empty = False
            yield item
    if empty:
        of = "" if split is None else f" of split {split}; there is: {', '.join(sorted(splits)) or 'nothing'}"
        others = f" ({passed_over_text(passed_over)})" if passed_over else ""
        raise ConfigError(f"Nothing to predict in {', '.join(map(str, inputs))}{of}{others}.")


def _made(
    items: Callable[[], Iterator[Item]], opened: AbstractContextManager[PredictionParts], run: Callable[..., None]
) -> PredictionParts:
    """The parts, with those that were missing."""
    with opened as parts:
        total = parts.check(items())
        if parts.rows:
            err.print(f"continuing: {parts.rows} of {total} rows are there", markup=False)
        try:
            run(items(), parts, total=total, progress=show_progress)
        except KeyboardInterrupt:
            err.print(f"{parts.rows} rows are kept, the same command continues", markup=False)
            raise
    return parts


def _local_job(
    model: str, device: str | None, workers: int | None, options: Mapping[str, Any]
) -> tuple[str | None, Callable[..., None]]:
    """The model's fingerprint, and what predicts the parts of a job."""
    predictor = load(model, device=device, workers=workers, **options)
    warn_all(predictor.conditioner.notes)
    return predictor.engine.fingerprint, partial(predict_in_parts, predictor)


def _ray_job(
    model: str, device: str | None, workers: int | None, options: Mapping[str, Any]
) -> tuple[str, Callable[..., None]]:
    """As ``_local_job``, through Ray."""
    if device is not None:
        raise ConfigError("--engine ray runs on CPUs so far; leave out --device.")
    with needs("ray"):
        from emotune.inference.jobs.ray_job import predict_on_ray
        from emotune.models.store import load_model
    stored = load_model(model)  # what is broken is known at once
    if options["coverage"] is not None:
        stored.calibration.threshold(options["coverage"])
    about = {"fingerprint": stored.fingerprint, "workers": workers, "loading": options}
    return stored.fingerprint, partial(predict_on_ray, model, **about)


def _warn_of_unheard(warnings: Mapping[str, str], count: int, rows: int) -> None:
    """Say which rows answer to clips in which nothing can be heard."""
    shown = list(warnings.items())[:_ERRORS_SHOWN]
    warn_all(f"{name}: {words}" for name, words in shown)
    if count:
        more = f", the first {len(shown)} of them above" if count > len(shown) else ""
        warn_all([f"in {count} of {rows} clips nothing can be heard{more}: what is predicted of them means nothing"])


def _end(summary: str, failed: int, errors: list[str]) -> None:
    """Say what was written and what went wrong, and leave with the exit code for it."""
    if summary:
        out.print(f"{summary}, {failed} with an error", markup=False)
    for error in errors:
        err.print(f"error: {error}", markup=False)
    if failed:
        raise typer.Exit(EXIT_SOME_FAILED)


def _print(predictions: Predictions) -> None:
    for row in predictions:
        if row.error:
            continue
        parts = [f"{name} {value:.3f}" for name, value in sorted(row.probabilities.items(), key=lambda pair: -pair[1])]
        parts += [f"{name} {value:.3f}" for name, value in row.dimensions.items()]
        parts = [row.emotion or "", *parts] if row.uncertain else parts
        out.print(f"{row.utterance_id}: {', '.join(parts)}", markup=False)
