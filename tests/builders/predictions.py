"""Predictions of models that were never trained."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from emotune.schema.labels import LabelSpace, Scale
from emotune.schema.predictions import Prediction, Predictions


def said(
    name: str, emotion: str | None, confidence: float = 0.7, *, classes: Sequence[str], **others: Any
) -> Prediction:
    """Prediction of one class, the other ones sharing the rest alike."""
    rest = (1 - confidence) / (len(classes) - 1)
    return Prediction(name, {label: confidence if label == emotion else rest for label in classes}, **others)


def predictions_of(
    *rows: Prediction, classes: Sequence[str] = (), dimensions: Mapping[str, Scale] | None = None, **about: Any
) -> Predictions:
    return Predictions(rows, LabelSpace(tuple(classes), dimensions or {}), **about)


def table_of(probabilities: np.ndarray, classes: Sequence[str], *, names: Sequence[str] | None = None) -> Predictions:
    """Table of probabilities, shape (utterances, classes); the names are u0, u1, ... unless given."""
    names = [f"u{number}" for number in range(len(probabilities))] if names is None else names
    shares = (dict(zip(classes, row, strict=True)) for row in probabilities.tolist())
    return predictions_of(*map(Prediction, names, shares), classes=classes)


def failing(predictions: Predictions, *names: str, error: str = "broken") -> Predictions:
    """The same table with errors for these utterances."""
    rows = (Prediction(row.utterance_id, error=error) if row.utterance_id in names else row for row in predictions)
    return dataclasses.replace(predictions, rows=tuple(rows))


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities over the last axis."""
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)
