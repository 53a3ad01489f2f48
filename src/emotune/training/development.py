"""Development split, predicted and scored after every epoch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import torch

from emotune import audio
from emotune.conditions.known import known_of
from emotune.data.decoded_clips import DecodedClips
from emotune.errors import CorpusError
from emotune.evaluation import scores
from emotune.inference.items import Item
from emotune.inference.predictor import Predictor
from emotune.inference.torch_engine import TorchEngine
from emotune.metrics import negative_log_likelihood
from emotune.models.emotion_model import EmotionModel
from emotune.runtime.listener import Listener
from emotune.runtime.threads import usable_cores
from emotune.schema.manifest import Manifest
from emotune.schema.predictions import Prediction, Predictions
from emotune.schema.truth import class_index
from emotune.schema.utterance import Utterance
from emotune.training.build import Experiment
from emotune.training.loop import processes


def development_scores(
    experiment: Experiment, batch_seconds: float, workers: int, listener: Listener, model: EmotionModel
) -> dict[str, float]:
    """All figures on the whole development split, through the Predictor, with the mean log loss as ``loss``.

    Each process predicts its part, and every one gets the figures of all.

    Args:
        experiment: with the split.
        batch_seconds: longest padded batch.
        workers: processes that prepare training clips. They are idle meanwhile, so on a CPU as many further batches
            are worked on at once, where it has cores for them.
        listener: told of every clip.
        model: to score.

    Raises:
        CorpusError: when an utterance cannot be predicted.
    """
    development, was_training = experiment.development, model.training
    engine = TorchEngine(model, experiment.preprocessing, concurrency=_batches_at_once(model, workers))
    predictor = Predictor(engine, batch_seconds=batch_seconds, conditioner=experiment.conditioner)
    by_length = sorted(development, key=lambda utterance: utterance.duration_s or 0.0)
    model.eval()  # here, so that no batch changes it while another is worked on
    try:
        found = processes.shared_out(
            by_length,
            lambda own: _predicted(predictor, development.replace_utterances(own), experiment.heard, listener),
        )
    finally:
        model.train(was_training)
    rows = {row.utterance_id: row for row in found}
    ordered = tuple(rows[utterance.utterance_id] for utterance in development)
    predictions = Predictions(ordered, predictor.label_space)
    if predictions.failed:
        raise CorpusError(f"A development utterance cannot be predicted: {predictions.failed[0].error}")
    figures = scores(development, predictions)
    if model.label_space.classes:
        truth = np.array([class_index(utterance, model.label_space) for utterance in development])
        probabilities = np.array([list(row.probabilities.values()) for row in predictions])
        figures["loss"] = negative_log_likelihood(truth[truth >= 0], probabilities[truth >= 0])
    return {**figures, **experiment.task.scored(development, predictions)}


def _batches_at_once(model: EmotionModel, workers: int) -> int:
    if next(model.parameters()).device.type != "cpu":
        return 1
    return max(1, min(1 + workers, usable_cores() // torch.get_num_threads()))


def _predicted(
    predictor: Predictor, development: Manifest, clips: DecodedClips | None, listener: Listener
) -> Sequence[Prediction]:
    progress = partial(_told, listener)
    if clips is None or clips.cache is None:
        return predictor.predict_manifest(development, progress=progress).rows
    sounds = [Item(u.utterance_id, cast("audio.Source", _Sound(clips, u)), known=known_of(u)) for u in development]
    return predictor.predict_items(sounds, progress=progress).rows


def _told(listener: Listener, items: Iterable[Any], *, total: int, title: str) -> Iterator[Any]:
    """The items, each of which the listener is told of."""
    for done, item in enumerate(items, start=1):
        yield item
        listener.scoring(done, total)


@dataclass(frozen=True)
class _Sound:
    """An utterance's sound, fetched when it is read, in the form in which others' decoders give theirs."""

    clips: DecodedClips
    utterance: Utterance

    def get_all_samples(self) -> SimpleNamespace:
        samples = self.clips.samples_of(self.utterance)
        return SimpleNamespace(data=samples, sample_rate=self.clips.sampling_rate_hz)
