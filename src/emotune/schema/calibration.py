"""Calibration of a model's confidence on development: a temperature, and thresholds for abstaining."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from emotune.errors import ConfigError, ModelError
from emotune.schema.softmax import softmax

UNCERTAIN = "uncertain"
"""The answer to a clip under the threshold."""

_SMALLEST = 1e-12


def with_temperature(probabilities: ArrayLike, temperature: float) -> NDArray[np.float64]:
    """Probabilities p^(1/T), made to sum to one again: the softmax of logits divided by T; the order stays.

    Args:
        probabilities: shape (utterances, classes).
        temperature: above 1 makes the model less confident, below 1 more; 1 changes nothing.

    Reference:
        Guo et al. (2017), On Calibration of Modern Neural Networks, section 4.2.

    >>> with_temperature([[0.8, 0.2]], 2.0).round(3)
    array([[0.667, 0.333]])
    """
    table = np.asarray(probabilities, dtype=np.float64)
    if temperature == 1.0 or not table.size:
        return table
    return softmax(np.log(np.maximum(table, _SMALLEST)) / temperature)


@dataclass(frozen=True)
class Calibration:
    """Temperature and thresholds, fitted on the development split and saved in the model's config.

    Args:
        temperature: what probabilities are softened by.
        thresholds: the least confidence of the 1 %, 2 %, ... 100 % most confident development clips; none if unknown.
        fitted_on: of what: ``utterances``, ``speakers``, and the mean log loss before and after; or ``reason``, why
            nothing was fitted.
    """

    temperature: float = 1.0
    thresholds: tuple[float, ...] = ()
    fitted_on: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def threshold(self, coverage: float) -> float:
        """Confidence at which the model answers this share of the development clips.

        Shares between whole per cents get the next larger one.

        Raises:
            ConfigError: for a share that is not above 0 and at most 1.
            ModelError: when the model does not know.
        """
        if not 0 < coverage <= 1:
            raise ConfigError(f"The coverage must be above 0 and at most 1, got {coverage}.")
        if coverage == 1:
            return 0.0
        if not self.thresholds:
            raise ModelError(
                "The model does not say which confidence answers how many clips: it was trained without classes, with"
                " train.calibrate=false, or on too few development utterances. Leave the coverage out, or train again."
            )
        return self.thresholds[math.ceil(round(coverage * 100, 6)) - 1]

    def to_json(self) -> dict[str, Any]:
        """Plain fields, as stored with a model."""
        return {
            "temperature": self.temperature,
            "thresholds": list(self.thresholds),
            "fitted_on": dict(self.fitted_on),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any] | None) -> Calibration:
        """Reads the output of ``to_json``; without an entry, probabilities stay as they are.

        Raises:
            ModelError: for anything else.
        """
        if data is None:
            return cls()
        try:
            temperature, thresholds = float(data["temperature"]), tuple(map(float, data["thresholds"]))
            fitted_on = dict(data["fitted_on"])
        except (TypeError, KeyError, ValueError) as error:
            raise ModelError(f"calibration must hold temperature, thresholds and fitted_on ({error}).") from error
        in_range = all(0 <= threshold <= 1 for threshold in thresholds)
        if not (temperature > 0 and math.isfinite(temperature)) or len(thresholds) not in (0, 100) or not in_range:
            raise ModelError("calibration must hold a temperature above 0, and 100 thresholds in [0, 1] or none.")
        return cls(temperature, thresholds, fitted_on)


def thresholds_of(confidence: Sequence[float] | NDArray[np.float64]) -> tuple[float, ...]:
    """Least confidence, of shape (clips,), of the 1 %, 2 %, ... 100 % most confident, rounded up to whole clips."""
    ranked = np.sort(np.asarray(confidence, dtype=np.float64))[::-1]
    return tuple(least_confidence(ranked, percent / 100) for percent in range(1, 101))


def least_confidence(ranked: NDArray[np.float64], share: float) -> float:
    """Least confidence of a share of the clips, rounded up to whole ones.

    Args:
        ranked: confidences from the highest down, shape (clips,).
        share: of the clips, above 0.

    >>> least_confidence(np.array([0.9, 0.8, 0.6, 0.5]), 0.5), least_confidence(np.array([0.9, 0.8, 0.6, 0.5]), 0.51)
    (0.8, 0.6)
    """
    return float(ranked[math.ceil(round(len(ranked) * share, 6)) - 1])
