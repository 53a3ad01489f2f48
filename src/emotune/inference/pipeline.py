"""Prediction in the shape of transformers' audio-classification pipeline: scores by label, the highest first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, cast

from emotune.errors import AudioError, ConfigError, ModelError
from emotune.inference.items import holds_several, items_given
from emotune.inference.loading import load
from emotune.inference.long_clips import LongClips
from emotune.inference.predictor import Predictor
from emotune.schema.predictions import Prediction

TASK = "audio-classification"
Scores = list[dict[str, Any]]
"""``[{"score": 0.9, "label": "anger"}, ...]``, from the highest score down."""


class Pipeline:
    """Predictor that takes and gives what transformers' ``AudioClassificationPipeline`` does.

    Args:
        predictor: that answers.
        top_k: classes of an answer; None = all.

    Raises:
        ModelError: for a model without classes.
    """

    task = TASK

    def __init__(self, predictor: Predictor, *, top_k: int | None = None) -> None:
        if not predictor.label_space.classes:
            raise ModelError(
                f"A pipeline answers with classes, and this model has none, but"
                f" {', '.join(predictor.label_space.dimensions)}. Use emotune.load(...).predict(...)."
            )
        self.predictor = predictor
        self.top_k = top_k

    @property
    def sampling_rate(self) -> int:
        """Rate in Hz of samples that are given without a rate."""
        return self.predictor.engine.preprocessing.sampling_rate_hz

    def __call__(
        self, inputs: Any, *, top_k: int | None = None, batch_size: int | None = None
    ) -> Scores | list[Scores] | Iterator[Scores]:
        """Scores of one recording, a list for a list of them, an iterator for an iterator.

        Args:
            inputs: whatever ``Predictor.predict`` takes, also ``{"raw": samples, "sampling_rate": rate}``; samples
                without a rate are taken to have that of the model, as transformers does.
            top_k: classes of an answer, in place of the pipeline's own.
            batch_size: changes nothing: batches go by seconds, and no answer depends on them.

        Raises:
            AudioError: for a recording that cannot be used.
            ConfigError: for a ``top_k`` below 1.
        """
        count = self.top_k if top_k is None else top_k
        if count is not None and count < 1:
            raise ConfigError(f"top_k must be at least 1, got {count}.")
        if not holds_several(inputs):
            return next(self._answers([inputs], count))
        answers = self._answers(inputs, count)
        return answers if isinstance(inputs, Iterator) else list(answers)

    def _answers(self, inputs: Iterable[Any], count: int | None) -> Iterator[Scores]:
        """Answers in the order of the inputs, which are taken as they are needed."""
        items = items_given((_as_array(source) for source in inputs), self.sampling_rate, "mix")
        waiting: dict[int, Prediction] = {}
        following = 0
        long = LongClips(self.predictor.training_duration_s)
        for position, prediction in self.predictor.stream(items, long=long):
            waiting[position] = prediction
            while following in waiting:
                yield _scores(waiting.pop(following), count)
                following += 1
        long.log()


def _as_array(source: Any) -> Any:
    """``{"raw": ...}`` as ``{"array": ...}``; all else as it is."""
    if not isinstance(source, Mapping):
        return source
    given = cast(Mapping[str, Any], source)
    raw = given.get("raw")
    return given if raw is None else {"array": raw, "sampling_rate": given.get("sampling_rate")}


def _scores(prediction: Prediction, count: int | None) -> Scores:
    if prediction.error is not None:
        raise AudioError(prediction.error)
    ranked = sorted(prediction.probabilities.items(), key=lambda pair: -pair[1])
    return [{"score": score, "label": label} for label, score in ranked[:count]]


def pipeline(
    task: str = TASK,
    model: str | Path | Predictor | None = None,
    *,
    device: int | str | None = None,
    top_k: int | None = None,
    batch_size: int | None = None,
) -> Pipeline:
    """Pipeline over a model, to be called like transformers' own: ``pipeline(model="mini")("call.wav", top_k=2)``.

    Args:
        task: ``audio-classification``, as transformers calls it.
        model: as ``emotune.load`` has it, or a ``Predictor``.
        device: as for ``emotune.load``, or as transformers numbers them: -1 = the CPU, 0 = the first GPU.
        top_k: classes of an answer; None = all.
        batch_size: changes nothing, see ``Pipeline``.

    Raises:
        ConfigError: for another task, or without a model.
        ModelError: for a model that cannot be loaded, or has no classes.
    """
    if task != TASK:
        raise ConfigError(f"The task is '{TASK}', got '{task}'. A model is named with model=...")
    if model is None:
        raise ConfigError("A pipeline needs a model: pipeline(model='FOLDER').")
    if isinstance(model, Predictor):
        return Pipeline(model, top_k=top_k)
    place = ("cpu" if device < 0 else f"cuda:{device}") if isinstance(device, int) else device
    return Pipeline(load(model, device=place), top_k=top_k)
