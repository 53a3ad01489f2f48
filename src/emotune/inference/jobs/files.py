"""Prediction of files to a folder of parts, here or on a Ray cluster."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any

from emotune.choices import PartFormat, PartsEngine
from emotune.errors import ConfigError
from emotune.inference.adaptation.folder import adapted_fingerprint, is_adapted, read_adapted
from emotune.inference.agreement import agreement_with_exact
from emotune.inference.engines import engine_of
from emotune.inference.inputs import Inputs, say_passed_over
from emotune.inference.items import Item
from emotune.inference.jobs.parts import PredictionParts, parts_in, predict_in_parts
from emotune.inference.loading import load, load_and_say
from emotune.inference.long_clips import LongClips
from emotune.inference.predict_files import SHOWN, PredictedFiles, say_long, say_unknown
from emotune.io.tables import SUFFIXES
from emotune.models.folder import find_model_folder
from emotune.runtime.extras import needs
from emotune.runtime.listener import Listener
from emotune.runtime.progress import Progress, silent


def predict_files_in_parts(
    model: str,
    inputs: Inputs,
    folder: Path,
    *,
    part_rows: int,
    part_format: PartFormat = "parquet",
    retry_errors: bool = False,
    engine: PartsEngine = "local",
    spreadsheet_safe: bool = False,
    listener: Listener | None = None,
    progress: Progress = silent,
    **loading: Any,
) -> PredictedFiles:
    """Predicts files to a folder of tables, for inputs by the hundred thousand; an interrupted job is continued.

    Args:
        model: as ``emotune.load`` has it.
        inputs: to be predicted.
        folder: of the parts, new or that of the same job before.
        part_rows: rows a part.
        part_format: of the parts.
        retry_errors: make parts again that hold a row with an error.
        engine: here, or on a Ray cluster.
        spreadsheet_safe: see ``emotune.io.tables.write_rows``.
        listener: told of the columns taken, of files passed over, and of what is there already.
        progress: shows how far the work is.
        loading: options of ``emotune.load``.

    Raises:
        EmotuneError: for inputs, a model or a folder that cannot be used.
    """
    listener = listener or Listener()
    inputs.say_columns(listener)
    if folder.suffix in SUFFIXES and not folder.is_dir():
        raise ConfigError(f"--part-rows writes a folder: name it without {folder.suffix}, see --part-format.")
    fingerprint, run = (_ray_job if engine == "ray" else _local_job)(model, inputs, listener, loading)
    opened = parts_in(
        folder,
        part_rows=part_rows,
        suffix=f".{part_format}",
        model_fingerprint=fingerprint,
        options={
            "coverage": loading.get("coverage"),
            "precision": None if loading.get("precision", "fp32") == "fp32" else loading["precision"],
            "conditions": loading.get("conditions"),
            **(loading.get("helpers") or {}),
        },
        retry_errors=retry_errors,
        spreadsheet_safe=spreadsheet_safe,
    )
    passed_over = Counter[str]()
    parts = _made(partial(inputs.items, passed_over), opened, run, listener, progress)
    say_passed_over(passed_over, listener)
    say_unknown(loading, parts.tables(), listener)
    warnings = parts.warnings(SHOWN)
    errors = parts.errors(SHOWN)
    return PredictedFiles(parts.rows, parts.failed, errors, parts.warned, warnings, parts=len(parts.parts))


def _made(
    items: Callable[[], Iterator[Item]],
    opened: AbstractContextManager[PredictionParts],
    run: Callable[..., None],
    listener: Listener,
    progress: Progress,
) -> PredictionParts:
    """The parts, with those that were missing."""
    with opened as parts:
        total = parts.check(items())
        if parts.rows:
            listener.say(f"continuing: {parts.rows} of {total} rows are there")
        try:
            run(items(), parts, total=total, progress=progress)
        except KeyboardInterrupt:
            listener.say(f"{parts.rows} rows are kept, the same command continues")
            raise
    return parts


def _local_job(
    model: str, inputs: Inputs, listener: Listener, loading: Mapping[str, Any]
) -> tuple[str | None, Callable[..., None]]:
    """The model's fingerprint, and the prediction of a job's parts."""
    predictor = load_and_say(model, listener, loading)
    agreement_with_exact(predictor, model, inputs.items(Counter[str]()), loading, listener)

    def run(items: Iterator[Item], parts: PredictionParts, *, total: int, progress: Progress) -> None:
        long = LongClips(predictor.training_duration_s)
        predict_in_parts(predictor, items, parts, total=total, progress=progress, long=long)
        say_long(long, listener)

    return predictor.fingerprint, run


def _ray_job(
    model: str, inputs: Inputs, listener: Listener, loading: Mapping[str, Any]
) -> tuple[str | None, Callable[..., None]]:
    """As ``_local_job``, through Ray."""
    options = dict(loading)
    workers = options.pop("workers", None)
    if options.pop("device", None) is not None:
        raise ConfigError("--engine ray runs on CPUs so far; leave out --device.")
    with needs("ray"):
        from emotune.inference.jobs.ray_job import predict_on_ray  # noqa: PLC0415
    adapted = read_adapted(Path(model)) if is_adapted(model) else None
    parent = model if adapted is None else adapted.parent
    engine = engine_of(find_model_folder(parent).folder, device="cpu")  # what is broken is known at once
    fingerprint = adapted_fingerprint(engine.fingerprint, None if adapted is None else adapted.adaptation)
    if options.get("coverage") is not None:
        engine.calibration.threshold(options["coverage"])
    if options.get("precision", "fp32") != "fp32":  # here, in the place of the workers
        own: dict[str, Any] = {**options, "device": "cpu"}
        agreement_with_exact(load(model, **own), model, inputs.items(Counter[str]()), own, listener)
    about = {"fingerprint": fingerprint, "workers": workers, "loading": options}
    return fingerprint, partial(predict_on_ray, model, **about)
