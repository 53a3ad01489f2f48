"""A linear model over the systems' answers."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotune.errors import ConfigError
from emotune.fusion.objective import CCC, Objective
from emotune.metrics.division import FloatArray
from emotune.runtime.threads import one_thread
from emotune.schema.softmax import softmax

_SMALLEST = 1e-6
_INVERSE_REGULARISATIONS = (0.003, 0.03, 0.3)
_FOLDS = 3
_RIDGE = 1.0


@dataclass(frozen=True, eq=False)
class Stacked:
    """Logistic regression on log-probabilities for classes, ridge regression on values for dimensions.

    Args:
        mean: of the features, shape (features,): the systems' answers side by side.
        spread: their standard deviation, 1 where it is 0.
        coefficients: shape (features, outputs).
        bias: shape (outputs,).
        of_classes: whether the outputs are logits.
    """

    mean: FloatArray
    spread: FloatArray
    coefficients: FloatArray
    bias: FloatArray
    of_classes: bool
    needs_all = True

    def combine(self, values: FloatArray) -> FloatArray:
        """Combines answers, shape (systems, utterances, outputs) -> (utterances, outputs)."""
        features = (_features(values, of_classes=self.of_classes) - self.mean) / self.spread
        found = features @ self.coefficients + self.bias
        return softmax(found) if self.of_classes else found

    def to_json(self) -> dict[str, Any]:
        """Plain data for a JSON file."""
        return {"coefficients": self.coefficients.tolist(), "bias": self.bias.tolist()}


def fit(
    values: FloatArray, objective: Objective, *, seed: int, speakers: Sequence[str | None] | None = None
) -> Stacked:
    """Fits on standardised features; classes count alike where ``uar`` or ``macro_f1`` is wanted.

    How strongly a logistic regression is regularised is chosen by the figure over three folds, the strongest among
    equals. No speaker is in two folds; with two speakers there are two, with one the utterances are dealt.

    Args:
        values: shape (systems, utterances, outputs), all finite.
        objective: its truth is learnt, its figure says how classes count and chooses the regularisation.
        seed: of the folds.
        speakers: of each utterance, None where unknown; as one None for all of them when None.

    Raises:
        ConfigError: when the truth has a single class.
    """
    of_classes = objective.metric != CCC
    features = _features(values, of_classes=of_classes)
    mean, spread = features.mean(axis=0), features.std(axis=0)
    spread = np.where(spread > 0, spread, 1.0)
    standard = (features - mean) / spread
    folds = folds_of(speakers or [None] * values.shape[1], seed)
    coefficients, bias = _logistic(standard, objective, folds) if of_classes else _ridge(standard, objective)
    return Stacked(mean, spread, coefficients, bias, of_classes)


def log_probabilities(values: FloatArray) -> FloatArray:
    """Systems' log-probabilities side by side: (systems, utterances, classes) -> (utterances, systems * classes)."""
    return np.concatenate(list(np.log(np.maximum(values, _SMALLEST))), axis=1)


def _features(values: FloatArray, *, of_classes: bool) -> FloatArray:
    """Systems side by side, shape (utterances, systems * outputs)."""
    return log_probabilities(values) if of_classes else np.concatenate(list(values), axis=1)


def folds_of(speakers: Sequence[str | None], seed: int) -> NDArray[np.int64]:
    """The fold of each utterance: speakers whole, the most talkative first, each to the fold that has the least.

    An utterance of an unknown speaker counts as a speaker of its own.
    """
    generator = np.random.default_rng(seed)
    groups: dict[object, list[int]] = {}
    for row, speaker in enumerate(speakers):
        groups.setdefault(row if speaker is None else speaker, []).append(row)
    members = list(groups.values()) if len(groups) > 1 else [[row] for row in range(len(speakers))]
    order = sorted(generator.permutation(len(members)).tolist(), key=lambda number: -len(members[number]))
    fold, filled = np.zeros(len(speakers), dtype=np.int64), [0] * min(_FOLDS, len(members))
    for number in order:
        smallest = filled.index(min(filled))
        fold[members[number]] = smallest
        filled[smallest] += len(members[number])
    return fold


def _logistic(features: FloatArray, objective: Objective, fold: NDArray[np.int64]) -> tuple[FloatArray, FloatArray]:
    truth = objective.truth.astype(np.int64)
    if len(np.unique(truth)) < 2:
        raise ConfigError("Stacking needs two classes at least in the part of development that it is fitted on.")

    def figure(strength: float) -> float:
        logits = np.zeros((len(truth), objective.size))
        for tested in np.unique(fold):
            trained = fold != tested
            if len(np.unique(truth[trained])) < 2:
                return -np.inf
            coefficients, bias = _regression(features[trained], truth[trained], objective, strength)
            logits[~trained] = features[~trained] @ coefficients + bias
        return objective.score(logits)

    with one_thread():
        return _regression(features, truth, objective, max(_INVERSE_REGULARISATIONS, key=figure))


def _regression(
    features: FloatArray, truth: NDArray[np.int64], objective: Objective, inverse_regularisation: float
) -> tuple[FloatArray, FloatArray]:
    """Coefficients of shape (features, classes) and bias; a class that was never seen is never said."""
    linear_model = importlib.import_module("sklearn.linear_model")
    weighing = None if objective.metric == "accuracy" else "balanced"
    model = linear_model.LogisticRegression(C=inverse_regularisation, max_iter=2000, class_weight=weighing)
    model.fit(features, truth)
    coefficients, bias = np.zeros((features.shape[1], objective.size)), np.full(objective.size, -1e3)
    if len(model.classes_) == 2:  # scikit-learn keeps the difference of the two alone
        halves = np.array([-0.5, 0.5])
        coefficients[:, model.classes_] = np.outer(model.coef_[0], halves)
        bias[model.classes_] = model.intercept_[0] * halves
    else:
        coefficients[:, model.classes_], bias[model.classes_] = model.coef_.T, model.intercept_
    return coefficients, bias


def _ridge(features: FloatArray, objective: Objective) -> tuple[FloatArray, FloatArray]:
    columns, biases = [], []
    for truth in objective.truth.T:
        there = np.isfinite(truth)
        x, centre = features[there], truth[there].mean()
        shift = x.mean(axis=0)
        x = x - shift
        found = np.linalg.solve(x.T @ x + _RIDGE * np.eye(x.shape[1]), x.T @ (truth[there] - centre))
        columns.append(found)
        biases.append(centre - shift @ found)
    return np.stack(columns, axis=1), np.array(biases)
