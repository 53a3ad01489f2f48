"""Batches of clips of similar duration, limited by their total seconds: little padding, steady cost a step."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Sampler

from emotune.errors import ConfigError

REPEATED = 1_000_000
_JITTER = 0.1  # durations are scaled by up to +-10 % before sorting, so that batch mates change from epoch to epoch


class Draws(Protocol):
    """Draws of the utterances of an epoch.

    ``fewest`` is the least number of them that an epoch has.
    """

    fewest: int

    def draw(self, generator: np.random.Generator, epoch: int) -> NDArray[np.int64]:
        """Indices of an epoch's utterances, in any order; some may come several times."""
        ...

    def longest_epoch(self, durations_s: NDArray[np.float64]) -> float:
        """Seconds of the longest kind of epoch, on average."""
        ...


class DurationBatches(Sampler[list[tuple[int, int]]]):
    """Every utterance once an epoch, or those that are drawn, as lists of (epoch, index).

    Utterances are sorted by slightly jittered duration and cut into batches of about ``batch_seconds``, as many in
    every epoch; the batches come in random order. All randomness comes from the seed and the epoch.

    With draws, an epoch is what they draw. What comes again in an epoch has an epoch number of its
    own, ``REPEATED`` apart, so that it is augmented otherwise.

    Args:
        durations_s: seconds of each utterance as training hears it (cropped).
        batch_seconds: audio-seconds a batch.
        together: how many batches make an optimiser step; there are only whole steps.
        seed: another seed, another order.
        draws: which utterances an epoch has; None = every utterance once.

    Raises:
        ConfigError: when there are fewer utterances than batches in a step.
    """

    def __init__(
        self,
        durations_s: Sequence[float],
        *,
        batch_seconds: float,
        together: int = 1,
        seed: int = 0,
        draws: Draws | None = None,
    ) -> None:
        self.durations_s = np.asarray(durations_s, dtype=float)
        self.together = together
        self.draws = draws
        seconds = self.durations_s.sum() if draws is None else draws.longest_epoch(self.durations_s)
        fewest = len(self.durations_s) if draws is None else draws.fewest
        most, wanted = fewest // together, seconds / batch_seconds / together
        if not most:
            raise ConfigError(
                f"{fewest} training utterances cannot fill the {together} batches of an optimiser step."
                " Lower train.accumulate, or use fewer processes."
            )
        self.count = together * max(1, min(most, math.ceil(wanted)))
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Called by the training loop before each epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        generator = np.random.default_rng((self.seed, self.epoch))
        everything = np.arange(len(self.durations_s))
        drawn = everything if self.draws is None else self.draws.draw(generator, self.epoch)
        jittered = self.durations_s[drawn] * generator.uniform(1 - _JITTER, 1 + _JITTER, len(drawn))
        places = np.argsort(jittered)
        order, rounds = drawn[places], _times_before(drawn)[places]
        edges = self._edges(order)
        for batch in generator.permutation(self.count):
            rows = slice(edges[batch], edges[batch + 1])
            yield [
                (self.epoch + REPEATED * int(again), int(index))
                for index, again in zip(order[rows], rounds[rows], strict=True)
            ]

    def _edges(self, order: np.ndarray) -> np.ndarray:
        """Edges of the batches in the sorted order; each holds at least one utterance."""
        total = np.concatenate([[0.0], np.cumsum(self.durations_s[order])])
        edges = np.searchsorted(total, np.linspace(0, total[-1], self.count + 1), side="left")
        edges[0], edges[-1] = 0, len(order)
        for left in range(1, self.count):
            edges[left] = min(max(edges[left], edges[left - 1] + 1), len(order) - (self.count - left))
        return edges


def _times_before(drawn: np.ndarray) -> np.ndarray:
    """Counts the earlier occurrences of each entry, shape (utterances,).

    >>> _times_before(np.array([3, 5, 3, 3]))
    array([0, 0, 1, 2])
    """
    order = np.argsort(drawn, kind="stable")
    ranked = drawn[order]
    found = np.empty(len(drawn), dtype=np.int64)
    found[order] = np.arange(len(drawn)) - np.searchsorted(ranked, ranked, side="left")
    return found
