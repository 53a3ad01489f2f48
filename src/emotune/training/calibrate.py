"""Fit temperature and thresholds to a model's answers on the development split."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import scipy  # its parts are loaded when they are used
from numpy.typing import NDArray

from emotune.metrics import negative_log_likelihood
from emotune.schema.calibration import Calibration, thresholds_of, with_temperature
from emotune.schema.manifest import Manifest
from emotune.schema.predictions import Predictions, align
from emotune.schema.splits import DEVELOPMENT
from emotune.schema.truth import class_index

FEWEST = 20
"""With fewer labelled development utterances a temperature would be a guess."""
_SMALLEST, _LARGEST = 0.1, 1000.0
"""Beyond, nothing is left of the probabilities' differences: they are clipped at 1e-12, 27.6 in logs."""


def fit_temperature(truth: NDArray[np.int64], probabilities: NDArray[np.float64]) -> float:
    """The temperature between .1 and 1000 with the least mean log loss; 1 where it gains nothing.

    Without a single mistake ever smaller temperatures are better: nothing is learnt of confidence then, and it is 1.
    Where confidence goes with mistakes, ever larger ones are: the largest then makes all classes nearly as probable.

    Args:
        truth: class indices, shape (utterances,).
        probabilities: shape (utterances, classes).
    """

    def loss(log_temperature: float) -> float:
        return negative_log_likelihood(truth, with_temperature(probabilities, math.exp(log_temperature)))

    bounds = math.log(_SMALLEST), math.log(_LARGEST)
    found = scipy.optimize.minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-6})
    gains = found.fun < loss(0.0)
    return float(math.exp(found.x)) if gains and found.x > 0.99 * bounds[0] else 1.0


def calibrated(manifest: Manifest, predictions: Predictions) -> Calibration:
    """Fits a calibration to the labelled utterances of a split, by the model's own probabilities."""
    space = predictions.label_space
    rows = [
        (class_index(utterance, space), prediction, utterance.speaker)
        for utterance, prediction in zip(manifest, align(predictions, [u.utterance_id for u in manifest]), strict=True)
        if utterance.emotion is not None and prediction.error is None
    ]
    if len(space.classes) < 2 or len(rows) < FEWEST:
        reason = "no two classes" if len(space.classes) < 2 else f"{len(rows)} labelled utterances, {FEWEST} are needed"
        return Calibration(fitted_on={"reason": f"not calibrated: {reason}"})
    truth = np.array([index for index, _, _ in rows], dtype=np.int64)
    probabilities = np.array([[row.probabilities[name] for name in space.classes] for _, row, _ in rows])
    temperature = fit_temperature(truth, probabilities)
    softened = with_temperature(probabilities, temperature)
    return Calibration(
        temperature,
        thresholds_of(softened.max(axis=1)),
        {
            "split": DEVELOPMENT,
            "utterances": len(rows),
            "speakers": len({speaker for _, _, speaker in rows if speaker is not None}),
            "log_loss_before": negative_log_likelihood(truth, probabilities),
            "log_loss_after": negative_log_likelihood(truth, softened),
        },
    )


def with_calibration(predictions: Predictions, calibration: Calibration, fingerprint: str) -> Predictions:
    """Answers of the calibrated model, from those before calibration."""
    rows = []
    for row in predictions:
        values = with_temperature(np.array([list(row.probabilities.values())]), calibration.temperature)
        probabilities = dict(zip(row.probabilities, values[0].tolist(), strict=True)) if row.probabilities else {}
        rows.append(dataclasses.replace(row, probabilities=probabilities))
    return dataclasses.replace(predictions, rows=tuple(rows), model_fingerprint=fingerprint)
