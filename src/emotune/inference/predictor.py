"""The one way to a prediction, for users, for the development score during training and for evaluation alike."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from emotune import audio
from emotune.conditions import Known, known_of
from emotune.errors import AudioError, ConfigError, ModelError
from emotune.inference.conditioner import Conditioner, Given, conditioner_of
from emotune.inference.engine import Engine, EngineError, EngineOutput
from emotune.inference.workers import WorkerEngine
from emotune.labels import LabelSpace
from emotune.manifest import Manifest, Utterance, check_content
from emotune.predictions import Prediction, Predictions
from emotune.preprocessing import batches_under
from emotune.progress import Progress, silent

_POOL, _POOL_SECONDS = 512, 800.0  # decoded and sorted by length at a time: bounds memory, keeps padding small

Answer = tuple[NDArray[np.floating], NDArray[np.floating]] | str
"""Probabilities and unit-scale dimensions of a clip, or why there are none."""


@dataclass(frozen=True)
class Item:
    """One thing to predict: a source, or a segment of it, under an id, with the user's own columns.

    ``content_sha256`` is what the recording must be, where a manifest says so; ``error`` says why a row of a table is
    nothing that could be predicted: it becomes an error row among the others. ``known`` is what the model may be given
    beside the sound, see ``emotune.conditions``.
    """

    utterance_id: str
    source: audio.Source
    start_s: float | None = None
    end_s: float | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    content_sha256: str | None = None
    error: str | None = None
    known: Known = field(default_factory=dict)


class Predictor:
    """Predicts emotions with a loaded model.

    Args:
        engine: what runs the model.
        batch_seconds: longest padded batch in audio-seconds; a batch's size never changes a result, only the speed.
        coverage: answer about this share of clips, and say 'uncertain' to those that the model is least confident of;
            the threshold is that of the development split. None = answer all.
        conditioner: finds what the model is given beside the sound; None = what the items know.

    Raises:
        ModelError: for a coverage, when the model does not know its confidence.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        batch_seconds: float = 40.0,
        coverage: float | None = None,
        conditioner: Conditioner | None = None,
    ) -> None:
        if not batch_seconds > 0:
            raise ConfigError(f"batch_seconds must be above 0, got {batch_seconds}.")
        self.engine = engine
        self.batch_seconds = batch_seconds
        self.conditioner = conditioner or Conditioner(engine.conditions)
        self.answered_from = 0.0 if coverage is None else engine.calibration.threshold(coverage)

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
            return self.predict_items(list(with_unique_ids(items)))
        (row,) = self.predict_items([Item(_name_of(source, 0), _with_rate(source, sampling_rate_hz))])
        if row.error is not None:
            raise AudioError(row.error)
        return row

    def predict_manifest(self, manifest: Manifest, *, progress: Progress = silent) -> Predictions:
        """Predict every utterance of a manifest, in its order."""
        items = [
            Item(
                u.utterance_id,
                manifest.path_of(u),
                u.start_s,
                u.end_s,
                content_sha256=u.content_sha256,
                known=known_of(u),
            )
            for u in manifest
        ]
        predictions = self.predict_items(items, progress=progress)
        return Predictions(predictions.rows, self.label_space, self.engine.fingerprint, manifest.fingerprint())

    def predict_items(self, items: Sequence[Item], *, progress: Progress = silent) -> Predictions:
        """Predict items in order; one that fails becomes a row with its error, and the rest goes on."""
        rows: list[Prediction | None] = [None] * len(items)
        for position, row in progress(self.stream(items), total=len(items), title="predicting"):
            rows[position] = row
        return Predictions(tuple(row for row in rows if row is not None), self.label_space, self.engine.fingerprint)

    def stream(self, items: Iterable[Item]) -> Iterator[tuple[int, Prediction]]:
        """Each item's position and prediction, as they come; only a pool of items is held at a time."""
        numbered = enumerate(items)
        with _threads(1) as ahead:  # decodes while the engine works
            coming = ahead.submit(self._next_pool, numbered)
            while (pool := coming.result()).size:
                coming = ahead.submit(self._next_pool, numbered)
                yield from pool.failed
                ready, failed = self._conditioned(pool.ready)
                yield from failed
                limit = self.batch_seconds * self.engine.preprocessing.sampling_rate_hz
                batches = list(batches_under(ready, samples_of=lambda clip: len(clip.waveform), limit=limit))
                batches.reverse()  # the longest first: at the end the workers become idle together
                for batch, answers in zip(batches, self._answers_to(batches), strict=True):
                    for clip, answer in zip(batch, answers, strict=True):
                        yield clip.position, self._prediction(clip, answer)

    def _next_pool(self, numbered: Iterator[tuple[int, Item]]) -> _Pool:
        """The next items, decoded and sorted by length, and the rows of those that cannot be used."""
        pool, seconds = _Pool([], []), 0.0
        while pool.size < _POOL and seconds < _POOL_SECONDS and (following := next(numbered, None)) is not None:
            position, item = following
            try:
                clip = _Clip(position, item, *self._prepare(item))
                pool.ready.append(clip)
                seconds += len(clip.waveform) / self.engine.preprocessing.sampling_rate_hz
            except AudioError as error:
                pool.failed.append((position, Prediction(item.utterance_id, error=str(error), extra=item.extra)))
        pool.ready.sort(key=lambda clip: len(clip.waveform))
        return pool

    def _conditioned(self, clips: Sequence[_Clip]) -> tuple[list[_Clip], list[tuple[int, Prediction]]]:
        """The clips with what the model is given beside their sound, without the samples that it took to know, and the
        rows of those whose conditions cannot be predicted; what fails is halved until the clip to blame is found.
        """
        if not clips or not self.conditioner.about:
            return list(clips), []
        try:
            given = self.conditioner([clip.item.known for clip in clips], [clip.sound for clip in clips])
        except Exception as error:  # recognisers and encoders raise what they like
            reason = f"its conditions cannot be predicted: {str(error) or type(error).__name__}"
        else:
            whole = [dataclasses.replace(clip, given=own, sound=None) for clip, own in zip(clips, given, strict=True)]
            return whole, []
        if len(clips) == 1:
            return [], [(clips[0].position, self._prediction(clips[0], reason))]
        middle = len(clips) // 2
        (first, first_failed), (second, second_failed) = map(self._conditioned, (clips[:middle], clips[middle:]))
        return first + second, first_failed + second_failed

    def _answers_to(self, batches: Sequence[Sequence[_Clip]]) -> Iterator[list[Answer]]:
        """What the engine says of each batch, in order."""
        if self.engine.concurrency == 1:
            yield from map(self._answers, batches)
            return
        with _threads(self.engine.concurrency) as threads:
            yield from threads.map(self._answers, batches)

    def _answers(self, clips: Sequence[_Clip]) -> list[Answer]:
        """What the engine says of a batch; one that it fails on twice is halved until the clip to blame is found."""
        output = self._tried_twice(clips)
        if not isinstance(output, str):
            return list(zip(output.probabilities, output.dimensions, strict=True))
        if len(clips) > 1:
            middle = len(clips) // 2
            return self._answers(clips[:middle]) + self._answers(clips[middle:])
        silence = np.zeros(self.engine.preprocessing.min_samples, dtype=np.float32)
        if isinstance(self._tried_twice([dataclasses.replace(clips[0], waveform=silence)]), str):  # not the clip then
            raise EngineError(output)
        return [output]

    def _tried_twice(self, clips: Sequence[_Clip]) -> EngineOutput | str:
        """What the engine says, or why it failed; the error itself, which holds on to memory, is let go."""
        reason = ""
        conditions = [clip.given.values for clip in clips if clip.given is not None]
        for _ in range(2):
            try:
                return self.engine.run([clip.waveform for clip in clips], conditions)
            except EngineError as error:
                reason = str(error)
        return reason

    def _prepare(self, item: Item) -> tuple[audio.FloatArray, audio.FloatArray | None]:
        """The clip as the model takes it, and its sound where conditions are to be predicted from it."""
        preprocessing = self.engine.preprocessing
        if item.error is not None:
            raise AudioError(item.error)
        recording = audio.decode(item.source, start_s=item.start_s, end_s=item.end_s)
        check_content(recording, item.content_sha256, item.utterance_id)
        try:
            samples = recording.mono(preprocessing.sampling_rate_hz)
            return preprocessing(samples), samples if self.conditioner.needs_sound(item.known) else None
        except AudioError as error:
            raise AudioError(f"{item.utterance_id}: {error}") from error

    def _prediction(self, clip: _Clip, answer: Answer) -> Prediction:
        space, item = self.label_space, clip.item
        if isinstance(answer, str):
            return Prediction(item.utterance_id, error=f"{item.utterance_id}: {answer}", extra=item.extra)
        if not all(np.isfinite(values).all() for values in answer):
            error = f"{item.utterance_id}: the model's output is not finite; the model folder holds broken weights."
            return Prediction(item.utterance_id, error=error, extra=item.extra)
        probabilities = dict(zip(space.classes, map(float, answer[0]), strict=True))
        dimensions = {
            name: scale.from_unit(float(value))
            for (name, scale), value in zip(space.dimensions.items(), answer[1], strict=True)
        }
        uncertain = max(probabilities.values(), default=1.0) < self.answered_from
        return Prediction(
            item.utterance_id,
            probabilities,
            dimensions,
            conditions_used=clip.given and clip.given.used,
            uncertain=uncertain,
            extra=item.extra,
        )


@contextmanager
def _threads(count: int) -> Iterator[ThreadPoolExecutor]:
    """Threads that nobody waits for when the block is left early, as by Ctrl-C."""
    threads = ThreadPoolExecutor(count)
    try:
        yield threads
    finally:
        threads.shutdown(wait=False, cancel_futures=True)


@dataclass(frozen=True)
class _Clip:
    position: int
    item: Item
    waveform: audio.FloatArray
    sound: audio.FloatArray | None = None
    given: Given | None = None


@dataclass(frozen=True)
class _Pool:
    """Clips that are ready, and rows of items that cannot be used, with their positions."""

    ready: list[_Clip]
    failed: list[tuple[int, Prediction]]

    @property
    def size(self) -> int:
        return len(self.ready) + len(self.failed)


def with_unique_ids(items: Iterable[Item]) -> Iterator[Item]:
    """The same input named twice gets ``id (2)``, so that every row of a table has its own id."""
    taken: set[int] = set()
    last: dict[int, int] = {}  # number given to a name that came more than once
    for item in items:
        given = id_fingerprint(item.utterance_id)
        name, count = item.utterance_id, last.get(given, 1)
        while id_fingerprint(name) in taken:
            count += 1
            name = f"{item.utterance_id} ({count})"
        taken.add(id_fingerprint(name))
        if count > 1:
            last[given] = count
        yield item if count == 1 else dataclasses.replace(item, utterance_id=name)


def id_fingerprint(utterance_id: str) -> int:
    """Eight bytes that stand for an id where millions are to be told apart: much smaller than the ids."""
    digest = hashlib.blake2b(utterance_id.encode(errors="surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little")


def _name_of(source: audio.Source | NDArray[Any], position: int) -> str:
    return str(source) if isinstance(source, str | Path) else f"clip_{position + 1}"


def _with_rate(source: audio.Source | NDArray[Any], sampling_rate_hz: int | None) -> audio.Source:
    """An array together with its rate; where that is missing, decoding says so."""
    if not isinstance(source, np.ndarray):
        return source
    return source if sampling_rate_hz is None else (source, sampling_rate_hz)  # pyright: ignore[reportReturnType]


def load(
    model: str | Path,
    *,
    device: str | None = None,
    batch_seconds: float = 40.0,
    workers: int | None = None,
    coverage: float | None = None,
    conditions: Mapping[str, str] | None = None,
    gender_model: str | None = None,
    asr: str | None = None,
    text_encoder: str | None = None,
    scored: Iterable[Utterance] | None = None,
) -> Predictor:
    """Load a model folder, or the model of a run folder, for prediction.

    Args:
        model: a model folder, a run folder that holds one under ``model``, or a Hub name.
        device: where to run, such as ``cpu`` or ``cuda``; None = a GPU where there is one.
        batch_seconds: longest padded batch in audio-seconds.
        workers: processes of one thread each, on the CPU: the fastest way through many recordings there, with a copy of
            the model in each. None = this process with all its threads.
        coverage: see ``Predictor``.
        conditions: condition -> where its value comes from (given, predicted, unknown, wrong); default as in training.
        gender_model, asr, text_encoder: in place of those that the model folder names. What it names and cannot be had
            here leaves its condition unknown, and ``Predictor.conditioner.notes`` says so.
        scored: the utterances that the model will be scored on: what one of them needs must then be had.

    Raises:
        ModelError: when there is no model, or any of its weights is missing, new or misshapen; when a model cannot be
            had that makes a condition of what is scored.
    """
    if workers is not None:
        if device not in (None, "cpu"):
            raise ConfigError(f"workers run on the CPU; leave out either workers or device '{device}'.")
        engine: Engine = WorkerEngine(model, workers=workers)
    else:
        try:
            torch_engine = importlib.import_module("emotune.inference.torch_engine")
        except ModuleNotFoundError as error:
            raise ModelError(f"Loading {model} needs '{error.name}': pip install 'emotune[train]'.") from error
        engine = torch_engine.TorchEngine.load(model, device=device)
    conditioner = conditioner_of(
        engine.conditions,
        partial(load, device=device),
        sources=conditions,
        gender_model=gender_model,
        asr=asr,
        text_encoder=text_encoder,
        scored=None if scored is None else [known_of(utterance) for utterance in scored],
    )
    return Predictor(engine, batch_seconds=batch_seconds, coverage=coverage, conditioner=conditioner)
