"""Draws of an epoch's utterances by groups, such as classes or corpora: how often a group comes grows with its size."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

_ROUNDING = 1e-9


class GroupDraws:
    """As many utterances as there are, each group's share of them proportional to its size to a power.

    Utterances of a group that gets more than it has come several times, all of them about equally often; of a group
    that gets fewer a random part comes. Utterances of no group keep their share, each once.

    Args:
        groups: the group of each utterance, -1 for none.
        power: 0 = the groups come equally often, 1 = each utterance once.
        from_epoch: before this epoch, counted from 0, each utterance comes once.
        repeats: False = no utterance comes twice in an epoch, which is as long as the scarcest group allows.

    >>> draws = GroupDraws([0] * 9 + [1], power=0.5)
    >>> draws.shares.tolist(), draws.mean_times().round(2).tolist()[-2:]
    ([0.75, 0.25], [0.83, 2.5])
    >>> draws = GroupDraws([0] * 9 + [1], power=0.5, repeats=False)
    >>> draws.fewest, draws.mean_times().round(2).tolist()[-2:]
    (4, [0.33, 1.0])
    """

    def __init__(self, groups: Sequence[int], *, power: float = 0.0, from_epoch: int = 0, repeats: bool = True) -> None:
        codes = np.asarray(groups)
        self.from_epoch = from_epoch
        self.ungrouped = np.flatnonzero(codes < 0)
        self.members = [np.flatnonzero(codes == code) for code in np.unique(codes[codes >= 0])]
        self.sizes = np.array([len(members) for members in self.members], dtype=float)
        self.shares: NDArray[np.float64] = self.sizes**power / (self.sizes**power).sum()
        self.drawn = int(self.sizes.sum())
        if not repeats and len(self.sizes):
            self.drawn = int((self.sizes / self.shares).min() + _ROUNDING)
        self.most = None if repeats else self.sizes.astype(int)
        self.fewest = len(self.ungrouped) + self.drawn

    def draw(self, generator: np.random.Generator, epoch: int = 0) -> NDArray[np.int64]:
        """Indices of an epoch's utterances; which groups get one more than others is drawn too."""
        if epoch < self.from_epoch:
            return np.arange(len(self.ungrouped) + int(self.sizes.sum()))
        quotas = np.floor(self.drawn * self.shares + _ROUNDING).astype(int)
        quotas[generator.permutation(len(quotas))[: self.drawn - quotas.sum()]] += 1
        quotas = quotas if self.most is None else np.minimum(quotas, self.most)
        drawn = [
            np.concatenate([generator.permutation(members) for _ in range(-(-quota // len(members)))])[:quota]
            for members, quota in zip(self.members, quotas.tolist(), strict=True)
            if quota
        ]
        return np.concatenate([self.ungrouped, *drawn])

    def longest_epoch(self, durations_s: FloatArray) -> float:
        """Seconds of an epoch on average, of the longer kind where there are two."""
        drawn = float(durations_s @ self.mean_times())
        return max(drawn, float(durations_s.sum())) if self.from_epoch else drawn

    def mean_times(self) -> NDArray[np.float64]:
        """Mean number of times that each utterance comes in an epoch from ``from_epoch`` on, shape (utterances,)."""
        times = np.ones(len(self.ungrouped) + int(self.sizes.sum()))
        for members, share in zip(self.members, self.shares.tolist(), strict=True):
            times[members] = self.drawn * share / len(members)
        return times
