"""Batches of clips of similar duration, limited by their total seconds: little padding, steady cost a step."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
from torch.utils.data import Sampler

from emotune.data.group_draws import GroupDraws
from emotune.errors import ConfigError

REPEATED = 1_000_000
_JITTER = 0.1  # durations are scaled by up to +-10 % before sorting, so that batch mates change from epoch to epoch


class DurationBatches(Sampler[list[tuple[int, int]]]):
    """Every utterance once an epoch, or as many drawn by groups, as lists of (epoch, index).

    Utterances are sorted by slightly jittered duration and cut into batches of about ``batch_seconds``, as many in
    every epoch; the batches come in random order. All randomness comes from the seed and the epoch.

    With groups, an epoch is drawn as ``GroupDraws`` does it. What comes again in an epoch has an epoch number of its
    own, ``REPEATED`` apart, so that it is augmented otherwise.

    Args:
        durations_s: seconds of each utterance as training hears it (cropped).
        batch_seconds: audio-seconds a batch.
        together: how many batches make an optimiser step; there are only whole steps.
        seed: another seed, another order.
        groups: the group of each utterance, such as its class, -1 for none; None = every utterance once.
        power: of ``GroupDraws``.

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
        groups: Sequence[int] | None = None,
        power: float = 0.0,
    ) -> None:
        self.durations_s = np.asarray(durations_s, dtype=float)
        self.together = together
        self.groups = None if groups is None else GroupDraws(groups, power=power)
        seconds = self.durations_s.sum() if self.groups is None else self.durations_s @ self.groups.mean_times()
        most, wanted = len(self.durations_s) // together, seconds / batch_seconds / together
        if not most:
            raise ConfigError(
                f"{len(self.durations_s)} training utterances cannot fill the {together} batches of an optimiser step."
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
        drawn = np.arange(len(self.durations_s)) if self.groups is None else self.groups.draw(generator)
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
