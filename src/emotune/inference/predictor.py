"""The one way to a prediction, for users, for the development score during training and for evaluation alike."""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from emotune import audio
from emotune.errors import AudioError, ConfigError, ModelError
from emotune.inference.engine import Engine, EngineOutput
from emotune.inference.workers import WorkerEngine
from emotune.labels import LabelSpace
from emotune.manifest import Manifest, check_content
from emotune.predictions import Prediction, Predictions
from emotune.preprocessing import batches_under
from emotune.progress import Progress, silent

_POOL = 512  # clips decoded and sorted by length at a time: bounds memory, keeps padding small


@dataclass(frozen=True)
class Item:
    """One thing to predict: a source, or a segment of it, under an id, with the user's own columns.

    ``content_sha256`` is what the recording must be, where a manifest says so; ``error`` says why a row of a table is
    nothing that could be predicted: it becomes an error row among the others.
    """

    utterance_id: str
    source: audio.Source
    start_s: float | None = None
    end_s: float | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    content_sha256: str | None = None
    error: str | None = None


class Predictor:
    """Predicts emotions with a loaded model.

    Args:
        engine: what runs the model.
        batch_seconds: longest padded batch in audio-seconds; a batch's size never changes a result, only the speed.
    """

    def __init__(self, engine: Engine, *, batch_seconds: float = 40.0) -> None:
        if not batch_seconds > 0:
            raise ConfigError(f"batch_seconds must be above 0, got {batch_seconds}.")
        self.engine = engine
        self.batch_seconds = batch_seconds

    @property
    def label_space(self) -> LabelSpace:
        """Classes and dimensions that are predicted."""
        return self.engine.label_space

    @overload
    def predict(
        self, source: list[audio.Source | NDArray[Any]], sampling_rate_hz: int | None = None
    ) -> Predictions: ...

    @overload
    def predict(self, source: audio.Source | NDArray[Any], sampling_rate_hz: int | None = None) -> Prediction: ...

    def predict(
        self,
        source: audio.Source | NDArray[Any] | list[audio.Source | NDArray[Any]],
        sampling_rate_hz: int | None = None,
    ) -> Prediction | Predictions:
        """Predict one recording, or a list of them.

        Args:
            source: a path, encoded bytes, a binary file, samples of shape (samples,) or (samples, channels) together
                with ``sampling_rate_hz``, ``{"array": ..., "sampling_rate": ...}``, or a list of such.
            sampling_rate_hz: of samples given as an array, alone or in a list.

        Returns:
            A ``Prediction`` with all classes; for a list ``Predictions`` in its order, where a bad recording is a row
            with its ``error``.

        Raises:
            AudioError: when a single recording cannot be used.
        """
        if isinstance(source, list):
            items = [Item(_name_of(s, n), _with_rate(s, sampling_rate_hz)) for n, s in enumerate(source)]
            return self.predict_items(with_unique_ids(items))
        (row,) = self.predict_items([Item(_name_of(source, 0), _with_rate(source, sampling_rate_hz))])
        if row.error is not None:
            raise AudioError(row.error)
        return row

    def predict_manifest(self, manifest: Manifest, *, progress: Progress = silent) -> Predictions:
        """Predict every utterance of a manifest, in its order."""
        items = [
            Item(u.utterance_id, manifest.path_of(u), u.start_s, u.end_s, content_sha256=u.content_sha256)
            for u in manifest
        ]
        predictions = self.predict_items(items, progress=progress)
        return Predictions(predictions.rows, self.label_space, self.engine.fingerprint, manifest.fingerprint())

    def predict_items(self, items: Sequence[Item], *, progress: Progress = silent) -> Predictions:
        """Predict items in order; one that fails becomes a row with its error, and the rest goes on."""
        rows: list[Prediction | None] = [None] * len(items)
        done = self._rows(items)
        for position, row in progress(done, total=len(items), title="predicting"):
            rows[position] = row
        return Predictions(tuple(row for row in rows if row is not None), self.label_space, self.engine.fingerprint)

    def _rows(self, items: Iterable[Item]) -> Iterator[tuple[int, Prediction]]:
        numbered = enumerate(items)
        while pool := list(islice(numbered, _POOL)):
            ready: list[tuple[int, Item, audio.FloatArray]] = []
            for position, item in pool:
                try:
                    ready.append((position, item, self._prepare(item)))
                except AudioError as error:
                    yield position, Prediction(item.utterance_id, error=str(error), extra=item.extra)
            ready.sort(key=lambda entry: len(entry[2]))
            limit = self.batch_seconds * self.engine.preprocessing.sampling_rate_hz
            batches = list(batches_under(ready, samples_of=lambda entry: len(entry[2]), limit=limit))
            batches.reverse()  # the longest first: at the end the workers become idle together
            for batch, output in zip(batches, self._outputs(batches), strict=True):
                for row, (position, item, _) in enumerate(batch):
                    yield position, self._prediction(item, output, row)

    def _outputs(self, batches: Sequence[Sequence[tuple[int, Item, audio.FloatArray]]]) -> Iterator[EngineOutput]:
        """What the engine says of each batch, in order."""
        prepared = [[waveform for _, _, waveform in batch] for batch in batches]
        if self.engine.concurrency == 1:
            yield from map(self.engine.run, prepared)
            return
        with ThreadPoolExecutor(self.engine.concurrency) as threads:
            yield from threads.map(self.engine.run, prepared)

    def _prepare(self, item: Item) -> audio.FloatArray:
        preprocessing = self.engine.preprocessing
        if item.error is not None:
            raise AudioError(item.error)
        recording = audio.decode(item.source, start_s=item.start_s, end_s=item.end_s)
        check_content(recording, item.content_sha256, item.utterance_id)
        try:
            return preprocessing(recording.mono(preprocessing.sampling_rate_hz))
        except AudioError as error:
            raise AudioError(f"{item.utterance_id}: {error}") from error

    def _prediction(self, item: Item, output: EngineOutput, row: int) -> Prediction:
        space = self.label_space
        values = [*output.probabilities[row], *output.dimensions[row]]
        if not np.isfinite(values).all():
            error = f"{item.utterance_id}: the model's output is not finite; the model folder holds broken weights."
            return Prediction(item.utterance_id, error=error, extra=item.extra)
        probabilities = dict(zip(space.classes, map(float, output.probabilities[row]), strict=True))
        dimensions = {
            name: scale.from_unit(float(value))
            for (name, scale), value in zip(space.dimensions.items(), output.dimensions[row], strict=True)
        }
        return Prediction(item.utterance_id, probabilities, dimensions, extra=item.extra)


def with_unique_ids(items: Sequence[Item]) -> list[Item]:
    """The same input named twice gets ``id (2)``, so that every row of a table has its own id."""
    taken: set[str] = set()
    unique = []
    for item in items:
        name, count = item.utterance_id, 1
        while name in taken:
            count += 1
            name = f"{item.utterance_id} ({count})"
        taken.add(name)
        unique.append(dataclasses.replace(item, utterance_id=name))
    return unique


def _name_of(source: audio.Source | NDArray[Any], position: int) -> str:
    return str(source) if isinstance(source, str | Path) else f"clip_{position + 1}"


def _with_rate(source: audio.Source | NDArray[Any], sampling_rate_hz: int | None) -> audio.Source:
    """An array together with its rate; where that is missing, decoding says so."""
    if not isinstance(source, np.ndarray):
        return source
    return source if sampling_rate_hz is None else (source, sampling_rate_hz)  # pyright: ignore[reportReturnType]


def load(
    model: str | Path, *, device: str | None = None, batch_seconds: float = 40.0, workers: int | None = None
) -> Predictor:
    """Load a model folder, or the model of a run folder, for prediction.

    Args:
        model: a model folder, a run folder that holds one under ``model``, or a Hub name.
        device: where to run, such as ``cpu`` or ``cuda``; None = a GPU where there is one.
        batch_seconds: longest padded batch in audio-seconds.
        workers: processes of one thread each, on the CPU: the fastest way through many recordings there, with a copy of
            the model in each. None = this process with all its threads.

    Raises:
        ModelError: when there is no model, or any of its weights is missing, new or misshapen.
    """
    if workers is not None:
        if device not in (None, "cpu"):
            raise ConfigError(f"workers run on the CPU; leave out either workers or device '{device}'.")
        return Predictor(WorkerEngine(model, workers=workers), batch_seconds=batch_seconds)
    try:
        torch_engine = importlib.import_module("emotune.inference.torch_engine")
    except ModuleNotFoundError as error:
        raise ModelError(f"Loading {model} needs '{error.name}': pip install 'emotune[train]'.") from error
    return Predictor(torch_engine.TorchEngine.load(model, device=device), batch_seconds=batch_seconds)
