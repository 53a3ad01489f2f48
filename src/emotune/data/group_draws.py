"""Draws of an epoch's utterances by groups, such as classes or corpora: how often a group comes grows with its size."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_ROUNDING = 1e-9


class GroupDraws:
    """As many utterances as there are, each group's share of them proportional to its size to a power.

    Utterances of a group that gets more than it has come several times, all of them about equally often; of a group
    that gets fewer a random part comes. Utterances of no group keep their share, each once.

    Args:
        groups: the group of each utterance, -1 for none.
        power: 0 = the groups come equally often, 1 = each utterance once.

    >>> draws = GroupDraws([0] * 9 + [1], power=0.5)
    >>> draws.shares.tolist(), draws.mean_times().round(2).tolist()[-2:]
    ([0.75, 0.25], [0.83, 2.5])
    """

    def __init__(self, groups: Sequence[int], *, power: float = 0.0) -> None:
        codes = np.asarray(groups)
        self.ungrouped = np.flatnonzero(codes < 0)
        self.members = [np.flatnonzero(codes == code) for code in np.unique(codes[codes >= 0])]
        self.sizes = np.array([len(members) for members in self.members], dtype=float)
        self.shares: NDArray[np.float64] = self.sizes**power / (self.sizes**power).sum()

    def draw(self, generator: np.random.Generator) -> NDArray[np.int64]:
        """Indices of an epoch's utterances; which groups get one more than others is drawn too."""
        quotas = np.floor(self.sizes.sum() * self.shares + _ROUNDING).astype(int)
        quotas[generator.permutation(len(quotas))[: int(self.sizes.sum()) - quotas.sum()]] += 1
        drawn = [
            np.concatenate([generator.permutation(members) for _ in range(-(-quota // len(members)))])[:quota]
            for members, quota in zip(self.members, quotas.tolist(), strict=True)
            if quota
        ]
        return np.concatenate([self.ungrouped, *drawn])

    def mean_times(self) -> NDArray[np.float64]:
        """Mean number of times that each utterance comes in an epoch, shape (utterances,)."""
        times = np.ones(len(self.ungrouped) + int(self.sizes.sum()))
        for members, share in zip(self.members, self.shares.tolist(), strict=True):
            times[members] = self.sizes.sum() * share / len(members)
        return times
