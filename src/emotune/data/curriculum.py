"""Curriculum: the utterances that annotators agreed on first, the others as epochs go by."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


class CurriculumDraws:
    """In every epoch as many utterances as there are, of the easiest share alone, all of these about equally often.

    Epochs stay as long as they are without a curriculum, so that rates and schedule mean the same. Which of several
    equally easy utterances come first is drawn once: the order of a manifest goes by class, speaker or corpus.

    Args:
        difficulty: of each utterance, such as the entropy of its votes; lower is earlier.
        shares: of the utterances, rising to 1.
        epochs: the epoch, counted from 0, from which each share counts; the first is 0.

    >>> draws = CurriculumDraws([0.0, 2.0, 1.0, 3.0], shares=[0.5, 1.0], epochs=[0, 2])
    >>> [sorted(draws.draw(np.random.default_rng(0), epoch).tolist()) for epoch in (1, 2)]
    [[0, 0, 2, 2], [0, 1, 2, 3]]
    """

    def __init__(self, difficulty: Sequence[float], *, shares: Sequence[float], epochs: Sequence[int]) -> None:
        drawn = np.random.default_rng(0).permutation(len(difficulty))
        order = np.lexsort((drawn, np.asarray(difficulty, dtype=float)))
        self.size, self.epochs = len(order), list(epochs)
        self.fewest = self.size
        self.stages = [np.sort(order[: max(1, round(share * self.size))]) for share in shares]

    def draw(self, generator: np.random.Generator, epoch: int = 0) -> NDArray[np.int64]:
        """Indices of an epoch's utterances; which come once more than others is drawn."""
        stage = self.stages[sum(epoch >= first for first in self.epochs) - 1]
        rounds = -(-self.size // len(stage))
        return np.concatenate([generator.permutation(stage) for _ in range(rounds)])[: self.size]

    def longest_epoch(self, durations_s: FloatArray) -> float:
        """Seconds of an epoch on average, of the stage with the longest utterances."""
        return max(float(durations_s[stage].mean()) * self.size for stage in self.stages)
