"""Spread of the scores over speakers, and the spread by chance if all were equally easy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emotune.evaluation.pairs import Pairs
from emotune.metrics.division import FloatArray, IntArray, mean_of_defined, ratio

SHUFFLES = 2000


@dataclass(frozen=True)
class SpeakerSpread:
    """The UAR of each speaker, over the classes that this speaker has, and its spread.

    Args:
        speakers: how many there are.
        clips: the median number of scored clips of a speaker.
        worst, best: name and UAR.
        low, high: the 10th and the 90th percentile.
        deviation: standard deviation between speakers (n - 1).
        chance_deviation: what it is on average when the hits of each class are dealt to the speakers at random, each
            keeping its clips: the root of the mean variance.
        chance_high: 95 % of such deals give less.
        p_value: share of deals that spread speakers at least as far, the observed one among them.
    """

    speakers: int
    clips: float
    worst: tuple[str, float]
    best: tuple[str, float]
    low: float
    high: float
    deviation: float
    chance_deviation: float
    chance_high: float
    p_value: float

    @property
    def chance_share(self) -> float:
        """Share of the variance between speakers that chance alone gives, at most 1; NaN without variance."""
        return min(1.0, float(ratio(np.array(self.chance_deviation**2), np.array(self.deviation**2))))

    def to_json(self) -> dict[str, object]:
        """Plain data for a JSON file."""
        return {
            "speakers": self.speakers,
            "median_clips": self.clips,
            "worst": {"name": self.worst[0], "uar": self.worst[1]},
            "best": {"name": self.best[0], "uar": self.best[1]},
            "percentile_10": self.low,
            "percentile_90": self.high,
            "standard_deviation": self.deviation,
            "chance": {
                "standard_deviation": self.chance_deviation,
                "percentile_95": self.chance_high,
                "share_of_variance": self.chance_share,
                "p_value": self.p_value,
                "shuffles": SHUFFLES,
            },
        }


def spread_of(
    pairs: Pairs, speakers: Sequence[tuple[str, IntArray]], *, seed: int, shuffles: int = SHUFFLES
) -> SpeakerSpread | None:
    """Spread between speakers, each with the rows that are theirs, shape (utterances,); None for fewer than two."""
    if len(speakers) < 2:
        return None
    classes = len(pairs.classes)
    hit = pairs.prediction == pairs.truth
    clips = np.array([np.bincount(pairs.truth[rows], minlength=classes) for _, rows in speakers])
    hits = np.array([np.bincount(pairs.truth[rows], weights=hit[rows], minlength=classes) for _, rows in speakers])
    values = uars(hits, clips)
    deviation = float(values.std(ddof=1))
    dealt = uars(deals(hits, clips, shuffles=shuffles, seed=seed), clips).std(axis=-1, ddof=1)
    order = np.argsort(values, kind="stable")
    worst, best = int(order[0]), int(order[-1])
    low, high = np.quantile(values, [0.1, 0.9])
    return SpeakerSpread(
        len(speakers),
        float(np.median(clips.sum(axis=1))),
        (speakers[worst][0], float(values[worst])),
        (speakers[best][0], float(values[best])),
        float(low),
        float(high),
        deviation,
        float(np.sqrt(np.mean(dealt**2))),
        float(np.quantile(dealt, 0.95)),
        float((1 + np.sum(dealt >= deviation - 1e-12)) / (1 + shuffles)),
    )


def uars(hits: NDArray, clips: NDArray) -> FloatArray:
    """UAR of each speaker from counts of shape (..., speakers, classes), over the classes that the speaker has."""
    return mean_of_defined(ratio(hits, clips), np.broadcast_to(clips > 0, hits.shape))


def deals(hits: NDArray, clips: NDArray, *, shuffles: int, seed: int) -> NDArray:
    """The hits of each class dealt to the clips of that class at random, shape (shuffles, speakers, classes)."""
    generator = np.random.default_rng(seed)
    by_class = [
        generator.multivariate_hypergeometric(clips[:, n], int(hits[:, n].sum()), size=shuffles)
        for n in range(clips.shape[1])
    ]
    return np.stack(by_class, axis=-1)
