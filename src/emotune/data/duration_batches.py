"""Batches of clips of similar duration, limited by their total seconds: little padding, steady cost a step."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
from torch.utils.data import Sampler

from emotune.errors import ConfigError

_JITTER = 0.1  # durations are scaled by up to +-10 % before sorting, so that batch mates change from epoch to epoch


class DurationBatches(Sampler[list[tuple[int, int]]]):
    """Every utterance once an epoch, as lists of (epoch, index).

    Utterances are sorted by slightly jittered duration and cut into batches of about ``batch_seconds``, as many in
    every epoch; the batches come in random order. All randomness comes from the seed and the epoch.

    Args:
        durations_s: seconds of each utterance as training hears it (cropped).
        batch_seconds: audio-seconds a batch.
        together: how many batches make an optimiser step; there are only whole steps.
        seed: another seed, another order.

    Raises:
        ConfigError: when there are fewer utterances than batches in a step.
    """

    def __init__(self, durations_s: Sequence[float], *, batch_seconds: float, together: int = 1, seed: int = 0) -> None:
        self.durations_s = np.asarray(durations_s, dtype=float)
        self.together = together
        most, wanted = len(self.durations_s) // together, self.durations_s.sum() / batch_seconds / together
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
        jittered = self.durations_s * generator.uniform(1 - _JITTER, 1 + _JITTER, len(self.durations_s))
        order = np.argsort(jittered)
        edges = self._edges(order)
        for batch in generator.permutation(self.count):
            yield [(self.epoch, int(index)) for index in order[edges[batch] : edges[batch + 1]]]

    def _edges(self, order: np.ndarray) -> np.ndarray:
        """Where the batches begin and end in the sorted order; each holds at least one utterance."""
        total = np.concatenate([[0.0], np.cumsum(self.durations_s[order])])
        edges = np.searchsorted(total, np.linspace(0, total[-1], self.count + 1), side="left")
        edges[0], edges[-1] = 0, len(order)
        for left in range(1, self.count):
            edges[left] = min(max(edges[left], edges[left - 1] + 1), len(order) - (self.count - left))
        return edges
