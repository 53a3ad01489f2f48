"""Prediction of files, folders and tables: to one table, or to a folder of parts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from emotune.audio.channels import Channels
from emotune.conditions.origins import unknown_though_asked
from emotune.errors import ConfigError
from emotune.inference.adaptation.adaptation import adaptation_to, classes_of
from emotune.inference.adaptation.folder import adapted_fingerprint, is_adapted, read_adapted
from emotune.inference.adaptation.groups import check_way, groups_of
from emotune.inference.engines import engine_of
from emotune.inference.inputs import columns_taken, items_of, passed_over_text
from emotune.inference.items import Item
from emotune.inference.predictor import Predictor, load
from emotune.io.tables import SUFFIXES, check_output
from emotune.models.folder import find_model_folder
from emotune.runtime.extras import needs
from emotune.runtime.listener import Listener
from emotune.runtime.progress import Progress, silent
from emotune.schema.predictions import Prediction, Predictions

if TYPE_CHECKING:
    from emotune.audio.voice_activity import Method
    from emotune.inference.jobs.parts import PredictionParts
    from emotune.inference.timeline.windows import WindowRule

_SHOWN = 20


@dataclass(frozen=True)
class Inputs:
    """Files to be predicted.

    Args:
        paths: recordings, folders, tables, manifests, lists.
        columns: for tables, field -> column.
        split: of a manifest or table; all of it when None.
        channel: see ``items_of``.
    """

    paths: Sequence[Path]
    columns: Mapping[str, str] = field(default_factory=dict[str, str])
    split: str | None = None
    channel: Channels = "mix"

    def items(self, passed_over: Counter[str], *, channels_apart: bool = True) -> Iterator[Item]:
        """Yields what is to be predicted, and counts files that are no recordings as ``items_of`` does.

        Args:
            passed_over: counts of these.
            channels_apart: with the channel ``each``, an item for every one; else an item for the recording.

        Raises:
            ConfigError: when there is nothing to predict.
            EmotuneError: as ``items_of`` does.
        """
        empty, splits, wanted = True, set[str](), self._splits_wanted()
        channel = self.channel if channels_apart else "mix"
        for item in items_of(self.paths, columns=self.columns, channel=channel, passed_over=passed_over):
            splits.add(item.split or "(none)")
            if wanted is None or item.split in wanted:
                empty = False
                yield item
        if empty:
            there = ", ".join(sorted(splits - {"(none)"})) or "no split"
            of = "" if self.split is None else f" of split {self.split}; there is: {there}"
            others = f" ({passed_over_text(passed_over)})" if passed_over else ""
            raise ConfigError(f"There is no recording in {', '.join(map(str, self.paths))}{of}{others}.")

    def _splits_wanted(self) -> tuple[str | None, ...] | None:
        if self.split is None:
            return None
        from emotune.corpora.base import split_name  # noqa: PLC0415 (recordings need no corpus)

        return self.split, split_name(self.split)

    def say_columns(self, listener: Listener) -> None:
        """Says which columns of tables are taken.

        Raises:
            EmotuneError: as ``columns_taken`` does.
        """
        for path, taken, notes in columns_taken(self.paths, self.columns):
            from emotune.corpora.tables.columns import columns_text  # noqa: PLC0415 (as above)

            listener.say(f"{path}: columns taken: {columns_text(taken)}")
            for note in notes:
                listener.say(f"warning: {path}: {note}")


@dataclass(frozen=True)
class PredictedFiles:
    """Outcome of a prediction, in memory or in parts.

    Args:
        rows: predicted.
        failed: rows with an error.
        errors: the first of these.
        warned: rows with a warning, since nothing can be heard in their clips.
        warnings: the first of these, by utterance_id.
        predictions: the table; None where it lies in parts.
        parts: tables in the folder; 0 for a table in one.
    """

    rows: int
    failed: int
    errors: Sequence[str]
    warned: int
    warnings: Mapping[str, str]
    predictions: Predictions | None = None
    parts: int = 0

    @classmethod
    def of(cls, predictions: Predictions) -> PredictedFiles:
        """Outcome that is in memory."""
        return cls(
            len(predictions),
            len(predictions.failed),
            [row.error or "" for row in predictions.failed[:_SHOWN]],
            len(predictions.warnings),
            dict(islice(predictions.warnings.items(), _SHOWN)),
            predictions,
        )


def predict_files(
    model: str,
    inputs: Inputs,
    output: Path | None = None,
    *,
    adapt: str | None = None,
    windows: WindowRule | None = None,
    vad: Method = "none",
    spreadsheet_safe: bool = False,
    listener: Listener | None = None,
    progress: Progress = silent,
    **loading: Any,
) -> PredictedFiles:
    """Predicts files and writes the table of predictions; a bad recording is a row with its error.

    Args:
        model: as ``emotune.load`` has it.
        inputs: to be predicted.
        output: the table to write; none when None.
        adapt: ``auto``, ``speaker`` or ``recording``: the answers are adapted to these files, without labels, see
            ``adaptation_to``; None = plain answers.
        windows: a row for each window of a recording of any length; None = a row for the recording.
        vad: with windows, over what it finds; ``none`` = over all of the recording.
        spreadsheet_safe: see ``emotune.io.tables.write_rows``.
        listener: told of the columns taken, of files passed over, and of what the model has to do without.
        progress: shows how far the work is.
        loading: options of ``emotune.load``.

    Raises:
        EmotuneError: for inputs, a model or an output that cannot be used.
    """
    listener = listener or Listener()
    if adapt is not None:
        check_way(adapt)
    inputs.say_columns(listener)
    if output is not None:
        check_output(output, inputs=inputs.paths, spreadsheet_safe=spreadsheet_safe)
    passed_over = Counter[str]()
    items = list(inputs.items(passed_over))
    say_passed_over(passed_over, listener)
    if adapt is not None:
        if windows is not None:
            raise ConfigError("Windows are not adapted yet: leave out --adapt, or --window, --hop and --vad.")
        groups_of(items, adapt)  # an unknown speaker is told before the work
    predictor = loaded(model, listener, loading)
    if adapt is not None:
        if predictor.adaptation is not None:
            raise ConfigError(f"{model} is adapted already; leave out --adapt, or name the model that it was made of.")
        classes_of(predictor.label_space)
    if windows is None:
        predictions = predictor.predict_items(items, progress=progress)
    else:
        predictions = _predicted_windows(predictor, items, windows, vad, listener, progress)
    if adapt is not None:
        adaptation = adaptation_to(predictions, items, by=adapt)
        predictions = adaptation.answers(predictions, items, answered_from=predictor.answered_from)
        listener.say(adaptation.in_words())
    if output is not None:
        predictions.write(output, spreadsheet_safe=spreadsheet_safe)
    _say_unknown(loading, [predictions], listener)
    return PredictedFiles.of(predictions)


def predict_files_in_parts(
    model: str,
    inputs: Inputs,
    folder: Path,
    *,
    part_rows: int,
    part_format: Literal["parquet", "csv", "jsonl"] = "parquet",
    retry_errors: bool = False,
    engine: Literal["local", "ray"] = "local",
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
    from emotune.inference.jobs.parts import parts_in  # noqa: PLC0415 (a table in one needs none)

    listener = listener or Listener()
    inputs.say_columns(listener)
    if folder.suffix in SUFFIXES and not folder.is_dir():
        raise ConfigError(f"--part-rows writes a folder: name it without {folder.suffix}, see --part-format.")
    fingerprint, run = (_ray_job if engine == "ray" else _local_job)(model, listener, loading)
    opened = parts_in(
        folder,
        part_rows=part_rows,
        suffix=f".{part_format}",
        model_fingerprint=fingerprint,
        options={
            "coverage": loading.get("coverage"),
            "conditions": loading.get("conditions"),
            **(loading.get("helpers") or {}),
        },
        retry_errors=retry_errors,
        spreadsheet_safe=spreadsheet_safe,
    )
    passed_over = Counter[str]()
    parts = _made(partial(inputs.items, passed_over), opened, run, listener, progress)
    say_passed_over(passed_over, listener)
    _say_unknown(loading, parts.tables(), listener)
    warnings = parts.warnings(_SHOWN)
    errors = parts.errors(_SHOWN)
    return PredictedFiles(parts.rows, parts.failed, errors, parts.warned, warnings, parts=len(parts.parts))


def _predicted_windows(
    predictor: Predictor, items: Sequence[Item], rule: WindowRule, vad: Method, listener: Listener, progress: Progress
) -> Predictions:
    from emotune.inference.timeline.recording import (  # noqa: PLC0415 (most commands cut no windows)
        POOL,
        check_windows,
        least_samples,
    )
    from emotune.inference.timeline.window_items import window_items  # noqa: PLC0415 (as above)

    preprocessing = predictor.engine.preprocessing
    check_windows(rule, preprocessing)
    owners: list[str] = []
    without_speech: list[str] = []
    windows = window_items(items, rule, vad, least=least_samples(preprocessing), owners=owners, silent=without_speech)
    rows: dict[int, Prediction] = {}

    def recordings() -> Iterator[None]:
        begun: set[str] = set()
        for position, row in predictor.stream(windows, pool_items=POOL):
            rows[position] = row
            if owners[position] not in begun:
                begun.add(owners[position])
                yield

    for _ in progress(recordings(), total=len(items), title="predicting"):
        pass
    if without_speech:
        more = ", ..." if len(without_speech) > _SHOWN else ""
        named = ", ".join(without_speech[:_SHOWN])
        listener.say(f"warning: nobody speaks in {len(without_speech)} of {len(items)}: {named}{more}: no rows of them")
    found = tuple(rows[position] for position in range(len(rows)))
    return Predictions(found, predictor.label_space, predictor.fingerprint)


def loaded(model: str, listener: Listener, loading: Mapping[str, Any]) -> Predictor:
    """Loads a model, and says what it has to do without."""
    predictor = load(model, **loading)
    for note in predictor.conditioner.notes:
        listener.say(f"warning: {note}")
    return predictor


def say_passed_over(passed_over: Mapping[str, int], listener: Listener) -> None:
    """Says what lies in folders and is no recording."""
    if passed_over:
        listener.say(passed_over_text(passed_over))


def _say_unknown(
    loading: Mapping[str, Any], tables: Sequence[Predictions] | Iterator[Predictions], listener: Listener
) -> None:
    used = (row.conditions_used for table in tables for row in table)
    for sentence in unknown_though_asked(loading.get("conditions") or {}, used):
        listener.say(f"warning: {sentence}")


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


def _local_job(model: str, listener: Listener, loading: Mapping[str, Any]) -> tuple[str | None, Callable[..., None]]:
    """The model's fingerprint, and the prediction of a job's parts."""
    from emotune.inference.jobs.parts import predict_in_parts  # noqa: PLC0415 (as above)

    predictor = loaded(model, listener, loading)
    return predictor.fingerprint, partial(predict_in_parts, predictor)


def _ray_job(model: str, _: Listener, loading: Mapping[str, Any]) -> tuple[str | None, Callable[..., None]]:
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
    about = {"fingerprint": fingerprint, "workers": workers, "loading": options}
    return fingerprint, partial(predict_on_ray, model, **about)
