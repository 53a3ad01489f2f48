"""A small network over the systems' answers, trained with mixup: the meta-classifier of MEDUSA."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotune.errors import ConfigError
from emotune.fusion.objective import Objective
from emotune.fusion.stacking import folds_of, log_probabilities
from emotune.metrics.division import FloatArray
from emotune.schema.softmax import softmax

HIDDEN, BATCH, MIXUP = 64, 128, 1.0
"""Sizes and mixup strength as MEDUSA's; rate, decay and how long to train are ours."""
_RATE, _DECAY = 3e-3, 1e-2
_STEPS = (50, 200, 800)
_BETAS = (0.9, 0.999)
_TINY = 1e-8

Weights = tuple[FloatArray, FloatArray, FloatArray, FloatArray]


@dataclass(frozen=True, eq=False)
class MetaClassifier:
    """Two layers with a ReLU between them, on standardised log-probabilities.

    Args:
        mean: of the features, shape (features,): the systems' log-probabilities side by side.
        spread: their standard deviation, 1 where it is 0.
        weights: (features, hidden), (hidden,), (hidden, classes) and (classes,).
        steps: of training, as the folds chose.
    """

    mean: FloatArray
    spread: FloatArray
    weights: Weights
    steps: int
    needs_all = True

    def combine(self, values: FloatArray) -> FloatArray:
        """Combines answers, shape (systems, utterances, classes) -> (utterances, classes)."""
        return softmax(_forward((log_probabilities(values) - self.mean) / self.spread, self.weights)[1])

    def to_json(self) -> dict[str, Any]:
        """Plain data for a JSON file."""
        return {"steps": self.steps, "layers": [part.tolist() for part in self.weights]}


def fit(
    values: FloatArray, objective: Objective, *, seed: int, speakers: Sequence[str | None] | None = None
) -> MetaClassifier:
    """Fits on standardised features; how long to train is chosen over three folds, the shortest among equals.

    Each step mixes utterances pairwise, features with features and classes with classes, by a share drawn from
    Beta(1, 1). No speaker is in two folds. Classes count alike but for ``accuracy``.

    Args:
        values: shape (systems, utterances, classes), all finite.
        objective: of classes; its truth is learnt, its figure says how classes count and chooses the steps.
        seed: of folds, first weights, batches and mixup.
        speakers: of each utterance, None where unknown; as one None for all of them when None.

    Raises:
        ConfigError: when the truth has a single class.

    Reference:
        MEDUSA (Interspeech 2025 challenge), configuration: one hidden layer of 64, batches of 128, mixup 1.0; Zhang et
        al. (2018), mixup, arXiv 1710.09412, equation 1.
    """
    truth = objective.truth.astype(np.int64)
    if len(np.unique(truth)) < 2:
        raise ConfigError("A meta-classifier needs two classes at least in the part of development it is fitted on.")
    features = log_probabilities(values)
    mean, spread = features.mean(axis=0), features.std(axis=0)
    spread = np.where(spread > 0, spread, 1.0)
    standard, targets = (features - mean) / spread, np.eye(objective.size)[truth]
    rows = _row_weights(truth, objective)
    fold = folds_of(speakers or [None] * len(truth), seed)
    held_out = np.zeros((len(_STEPS), len(truth), objective.size))
    for tested in np.unique(fold):
        trained = fold != tested
        course = _trained(standard[trained], targets[trained], rows[trained], seed=seed, stops=_STEPS)
        for place, (_, weights) in enumerate(course):
            held_out[place, ~trained] = _forward(standard[~trained], weights)[1]
    steps = _STEPS[int(np.argmax([objective.score(scores) for scores in held_out]))]
    ((_, weights),) = _trained(standard, targets, rows, seed=seed, stops=(steps,))
    return MetaClassifier(mean, spread, weights, steps)


def _row_weights(truth: NDArray[np.int64], objective: Objective) -> FloatArray:
    """Weight of each utterance, one on average: N / (C n_c), or all one where ``accuracy`` is wanted."""
    if objective.metric == "accuracy":
        return np.ones(len(truth))
    counts = np.bincount(truth, minlength=objective.size)
    return len(truth) / (np.count_nonzero(counts) * counts[truth])


def _trained(
    features: FloatArray, targets: FloatArray, rows: FloatArray, *, seed: int, stops: Sequence[int]
) -> Iterator[tuple[int, Weights]]:
    """Trains by AdamW with mixup; yields the weights after each number of steps in ``stops``."""
    generator = np.random.default_rng(seed)
    count, classes = targets.shape
    sizes = features.shape[1], HIDDEN, classes
    layers = [generator.normal(0, (2 / sizes[0]) ** 0.5, sizes[:2]), np.zeros(HIDDEN)]
    layers += [generator.normal(0, (1 / HIDDEN) ** 0.5, sizes[1:]), np.zeros(classes)]
    first, second = ([np.zeros_like(layer) for layer in layers] for _ in range(2))
    for step in range(1, max(stops) + 1):
        own, other = (generator.integers(0, count, min(BATCH, count)) for _ in range(2))
        share = generator.beta(MIXUP, MIXUP)
        mixed = share * features[own] + (1 - share) * features[other]
        wanted = share * targets[own] * rows[own, None] + (1 - share) * targets[other] * rows[other, None]
        for number, slope in enumerate(_slopes(mixed, wanted, layers)):
            first[number] = _BETAS[0] * first[number] + (1 - _BETAS[0]) * slope
            second[number] = _BETAS[1] * second[number] + (1 - _BETAS[1]) * slope**2
            move = first[number] / (1 - _BETAS[0] ** step)
            scale = np.sqrt(second[number] / (1 - _BETAS[1] ** step)) + _TINY
            decay = _DECAY if layers[number].ndim > 1 else 0.0
            layers[number] = layers[number] * (1 - _RATE * decay) - _RATE * move / scale
        if step in stops:
            yield step, (layers[0], layers[1], layers[2], layers[3])


def _forward(features: FloatArray, weights: Sequence[FloatArray]) -> tuple[FloatArray, FloatArray]:
    """Hidden states, shape (utterances, hidden), and logits, (utterances, classes)."""
    hidden = np.maximum(features @ weights[0] + weights[1], 0.0)
    return hidden, hidden @ weights[2] + weights[3]


def _slopes(features: FloatArray, wanted: FloatArray, weights: Sequence[FloatArray]) -> list[FloatArray]:
    """Gradients of the weighted cross-entropy, mean over the batch, for ``wanted`` of shape (utterances, classes)."""
    hidden, logits = _forward(features, weights)
    of_logits = (softmax(logits) * wanted.sum(axis=1, keepdims=True) - wanted) / len(features)
    of_hidden = (of_logits @ weights[2].T) * (hidden > 0)
    return [features.T @ of_hidden, of_hidden.sum(axis=0), hidden.T @ of_logits, of_logits.sum(axis=0)]
