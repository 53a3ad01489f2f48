"""Objective of a fusion: one score of fused answers against the truth, fast enough for thousands of calls."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emotune.errors import ConfigError
from emotune.metrics.classes import accuracy_of, confusion_matrix, macro_f1_of, macro_f1_true_classes_of, uar_of
from emotune.metrics.dimensions import ccc_of, moments
from emotune.metrics.division import FloatArray
from emotune.registry import unknown_name_message

CLASS_METRICS: Mapping[str, Callable[[NDArray], FloatArray]] = {
    "macro_f1": macro_f1_of,
    "macro_f1_true_classes": macro_f1_true_classes_of,
    "uar": uar_of,
    "accuracy": accuracy_of,
}
"""Figures of confusion matrices, each in [0, 1]."""

CCC = "ccc"
"""The mean over the dimensions."""


def check_metric(metric: str) -> None:
    """Refuses a metric that nothing can be fitted for.

    Raises:
        ConfigError: that lists the metrics that there are.
    """
    known = (*CLASS_METRICS, CCC)
    if metric not in known:
        raise ConfigError("--metric: " + unknown_name_message("metric", metric, known))


@dataclass(frozen=True, eq=False)
class Objective:
    """A figure against a truth; greater is better.

    Args:
        truth: class indices, shape (utterances,), or values of dimensions, (utterances, dimensions), NaN where unknown.
        metric: of ``CLASS_METRICS`` for classes, or ``ccc``.
        size: how many classes, or dimensions.
    """

    truth: FloatArray
    metric: str
    size: int

    def score(self, answers: FloatArray) -> float:
        """The figure of probabilities or values, shape (utterances, outputs)."""
        if self.metric != CCC:
            return self.of_decisions(answers.argmax(axis=1))
        found = [self._ccc(self.truth[:, column], answers[:, column]) for column in self._columns()]
        return float(np.mean(found)) if found else float("nan")

    def of_decisions(self, decisions: NDArray[np.int64]) -> float:
        """The figure of predicted classes, shape (utterances,)."""
        counts = confusion_matrix(self.truth.astype(np.int64), decisions, classes=self.size)
        return float(CLASS_METRICS[self.metric](counts))

    def of_weights(self, values: FloatArray) -> Callable[[FloatArray], float]:
        """The figure of sum_i w_i values_i as a function of w, for values of shape (systems, utterances, outputs)."""
        systems, utterances, outputs = values.shape
        if self.metric != CCC:
            flat = np.ascontiguousarray(values.reshape(systems, -1))

            def of_sum(weights: FloatArray) -> float:
                # einsum: a matrix product would start threads for each of thousands of calls, which takes far longer
                fused = np.einsum("s,sv->v", weights, flat).reshape(utterances, outputs)
                return self.of_decisions(fused.argmax(axis=1))

            return of_sum
        moments_of = [_WeightedCCC(self.truth[:, column], values[:, :, column]) for column in self._columns()]
        return lambda weights: float(np.mean([of(weights) for of in moments_of])) if moments_of else float("nan")

    def _columns(self) -> list[int]:
        """The dimensions of which two values at least are known."""
        return np.flatnonzero(np.isfinite(self.truth).sum(axis=0) >= 2).tolist()

    @staticmethod
    def _ccc(truth: FloatArray, answers: FloatArray) -> float:
        there = np.isfinite(truth)
        return float(ccc_of(moments(truth[there], answers[there])))


class _WeightedCCC:
    """CCC of a weighted sum from the systems' means and covariances, whatever the number of utterances."""

    def __init__(self, truth: FloatArray, values: FloatArray) -> None:
        there = np.isfinite(truth)
        truth, values = truth[there], values[:, there]
        self.truth_mean, self.truth_variance = truth.mean(), truth.var()
        self.means = values.mean(axis=1)
        centred = values - self.means[:, None]
        self.covariances = centred @ centred.T / len(truth)
        self.with_truth = centred @ (truth - self.truth_mean) / len(truth)

    def __call__(self, weights: FloatArray) -> float:
        variance = weights @ self.covariances @ weights
        spread = self.truth_variance + variance + (weights @ self.means - self.truth_mean) ** 2
        return float(2 * weights @ self.with_truth / spread) if spread > 0 else float("nan")
