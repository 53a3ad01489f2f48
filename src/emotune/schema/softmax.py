"""Softmax over classes, without overflow."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Probabilities proportional to exp(logits), both of shape (utterances, classes); each row sums to one.

    >>> softmax(np.array([[0.0, np.log(3)], [1e6, -np.inf]])).round(3).tolist()
    [[0.25, 0.75], [1.0, 0.0]]
    """
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)
