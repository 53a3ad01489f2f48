"""Bootstrap over speakers: intervals for a score if other speakers had been recorded.

Utterances of one speaker resemble each other, so resampling utterances gives intervals that are too narrow. Here whole
speakers are drawn with replacement. A score is a function of sums over utterances (confusion matrices, moments), so a
resample is a weighted sum of the speakers' sums: no utterance is touched twice.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from emotune.evaluation.statistics.t_distribution import t_quantile
from emotune.metrics.division import FloatArray, IntArray, NumberArray

LEVEL = 0.95
FEWEST_CLUSTERS = 3
"""With fewer there is no interval: what two speakers span holds the truth half of the time."""
UNIT = (0.0, 1.0)
"""Worst and best of shares, UAR and F1."""


@dataclass(frozen=True)
class Estimate:
    """A score with its interval; the bounds are NaN where too few clusters allow none."""

    value: float
    low: float = float("nan")
    high: float = float("nan")

    @property
    def has_interval(self) -> bool:
        """Tells whether both bounds are defined."""
        return bool(np.isfinite(self.low) and np.isfinite(self.high))

    def in_words(self, sign: str = "") -> str:
        """The score with its bounds, without them where there are none, or that it is undefined.

        >>> Estimate(0.5, 0.25, 0.75).in_words(), Estimate(0.5).in_words("+"), Estimate(float("nan")).in_words()
        ('0.500 [0.250, 0.750]', '+0.500', 'undefined')
        """
        if not math.isfinite(self.value):
            return "undefined"
        bounds = f" [{self.low:{sign}.3f}, {self.high:{sign}.3f}]" if self.has_interval else ""
        return f"{self.value:{sign}.3f}{bounds}"

    def to_json(self) -> dict[str, float]:
        """Plain data for a JSON file."""
        return {"value": self.value, "low": self.low, "high": self.high}


def cluster_codes(speakers: Sequence[str | None]) -> IntArray:
    """Cluster of each utterance, shape (utterances,): its speaker, or a cluster of its own if unknown.

    >>> cluster_codes(["b", None, "a", "b", None])
    array([1, 2, 0, 1, 3])
    """
    code = {name: number for number, name in enumerate(sorted({name for name in speakers if name is not None}))}
    codes: list[int] = []
    alone = len(code)
    for name in speakers:
        if name is None:
            codes.append(alone)
            alone += 1
        else:
            codes.append(code[name])
    return np.array(codes, dtype=np.int64)


def recoded(clusters: IntArray) -> tuple[IntArray, int]:
    """Clusters of some utterances, shape (utterances,), renumbered from 0 without gaps, and how many there are.

    >>> recoded(np.array([5, 2, 5]))
    (array([1, 0, 1]), 2)
    """
    kept, codes = np.unique(clusters, return_inverse=True)
    return codes, len(kept)


def draws(clusters: int, *, resamples: int, seed: int, most_counts: int = 4_000_000) -> Iterator[IntArray]:
    """Draws of each cluster by each resample, in blocks of shape (resamples of the block, clusters).

    Rows sum to ``clusters``. The same arguments give the same draws, so that two systems can be compared on the same
    resamples. A block holds at most ``most_counts``, which changes none of them.
    """
    generator = np.random.default_rng(seed)
    block = max(1, most_counts // clusters)
    for start in range(0, resamples, block):
        drawn = generator.integers(clusters, size=(min(block, resamples - start), clusters))
        rows = len(drawn)
        cells = (drawn + np.arange(rows)[:, None] * clusters).ravel()
        yield np.bincount(cells, minlength=rows * clusters).reshape(rows, clusters)


class ClusterBootstrap:
    """Estimates with expanded percentile intervals from sums of each cluster.

    Args:
        statistics: one row a cluster, shape (clusters, ...), of numbers that add up over clusters.
        resamples: how many resamples to draw.
        seed: of the draws.

    The speakers' scores decide the interval:

    >>> hits_and_counts = np.array([[9, 10], [5, 10], [7, 10]])
    >>> ClusterBootstrap(hits_and_counts, resamples=1000, seed=0).estimate(lambda sums: sums[..., 0] / sums[..., 1])
    Estimate(value=0.7, low=0.5, high=0.9)
    """

    def __init__(self, statistics: NumberArray, *, resamples: int = 1000, seed: int = 0) -> None:
        statistics = np.asarray(statistics, dtype=np.float64)
        self.statistics = statistics
        self.clusters = len(statistics)
        self.total: FloatArray = statistics.sum(axis=0)
        self.resampled: FloatArray | None = None
        if self.clusters >= FEWEST_CLUSTERS and resamples >= 2:
            flat = statistics.reshape(self.clusters, -1)
            sums = [counts @ flat for counts in _as_floats(draws(self.clusters, resamples=resamples, seed=seed))]
            self.resampled = np.concatenate(sums).reshape(resamples, *statistics.shape[1:])

    def estimate(
        self, measure: Callable[[FloatArray], FloatArray], *, within: tuple[float, float] | None = None
    ) -> Estimate:
        """The score of everything and its interval.

        Args:
            measure: maps sums (..., statistics) to scores (...).
            within: smallest and largest score that there can be; where every speaker has one of these, the interval is
                that of ``widened_at_edges``, since resamples have no width there. None = it keeps none.
        """
        return self.estimates(lambda sums: np.asarray(measure(sums))[..., None], within=within)[0]

    def estimates(
        self, measure: Callable[[FloatArray], FloatArray], *, within: tuple[float, float] | None = None
    ) -> list[Estimate]:
        """Estimates of a measure that gives several scores, shape (..., scores); see ``estimate``."""
        values = np.asarray(measure(self.total), dtype=float)
        if self.resampled is None:
            return [Estimate(float(value)) for value in values]
        lows, highs = percentile_interval(np.asarray(measure(self.resampled), dtype=float), clusters=self.clusters)
        if within is not None:
            seen = np.isfinite(np.asarray(measure(self.statistics), dtype=float)).sum(axis=0)
            lows, highs = widened_at_edges(lows, highs, within=within, clusters=seen)
        return [
            Estimate(float(value), float(low), float(high)) if np.isfinite(value) else Estimate(float(value))
            for value, low, high in zip(values, lows, highs, strict=True)
        ]


def mean_estimate(
    bootstraps: Sequence[ClusterBootstrap],
    measure: Callable[[FloatArray], FloatArray],
    *,
    within: tuple[float, float] | None = None,
) -> Estimate:
    """Mean of a measure over several sets of clusters, such as corpora, each set resampled by itself.

    The measure takes sums of shape (..., quantities), and gives shape (...). The interval is as wide as the fewest
    clusters ask for; none where a set has too few of its own. ``within`` as for ``ClusterBootstrap.estimate``.

    >>> sets = [ClusterBootstrap(np.array([[9, 10], [5, 10], [7, 10]]), seed=n) for n in range(2)]
    >>> mean_estimate(sets, lambda sums: sums[..., 0] / sums[..., 1]).value
    0.7
    """
    value = float(np.mean([measure(own.total) for own in bootstraps]))
    resampled = [own.resampled for own in bootstraps if own.resampled is not None]
    if len(resampled) < len(bootstraps) or not math.isfinite(value):
        return Estimate(value)
    values = np.mean([measure(sums) for sums in resampled], axis=0)
    fewest = min(own.clusters for own in bootstraps)
    low, high = percentile_interval(values, clusters=fewest)
    if within is not None:
        low, high = widened_at_edges(low, high, within=within, clusters=np.asarray(fewest))
    return Estimate(value, float(low), float(high))


def widened_at_edges(
    lows: FloatArray, highs: FloatArray, *, within: tuple[float, float], clusters: IntArray, level: float = LEVEL
) -> tuple[FloatArray, FloatArray]:
    """Bounds with a width where all resamples have the best or the worst score that there can be.

    Speakers who all have the best score were drawn with probability q^n, where q is the share of such speakers. So q is
    at least ((1 - level) / 2)^(1 / n), about 1 - 3.7 / n, by the exact interval of Clopper and Pearson; and a mean over
    speakers is at least q, however badly the others may fare. The worst score is the mirror image.

    Args:
        lows, highs: bounds, each shape (scores,).
        within: worst and best score.
        clusters: speakers who have a score, shape (scores,).
        level: how often the interval is to hold the truth.

    Reference:
        Clopper and Pearson (1934), The Use of Confidence or Fiducial Limits Illustrated in the Case of the Binomial,
        Biometrika 26(4); Hanley and Lippman-Hand (1983), If Nothing Goes Wrong, Is Everything All Right?, JAMA 249(13).

    >>> low, high = widened_at_edges(np.array([1.0]), np.array([1.0]), within=UNIT, clusters=np.array([8]))
    >>> low.round(3), high
    (array([0.631]), array([1.]))
    """
    worst, best = within
    unseen = (best - worst) * (1 - ((1 - level) / 2) ** (1 / np.maximum(clusters, 1)))
    has_width = ~np.isclose(lows, highs, rtol=0, atol=1e-12)
    at_best, at_worst = (np.isclose(lows, edge, rtol=0, atol=1e-12) & ~has_width for edge in (best, worst))
    return np.where(at_best, best - unseen, lows), np.where(at_worst, worst + unseen, highs)


def expanded_tail(clusters: int, *, level: float = LEVEL) -> float:
    """The share of resamples to leave out on each side, smaller than (1 - level) / 2 where there are few clusters.

    Plain percentiles are too narrow for two reasons: resamples of n clusters spread by sqrt((n - 1) / n) too little,
    and they know nothing of the error in that spread, as a normal interval instead of one by Student's t. The tails are
    taken such that for a mean the interval is about that by Student's t. ``benchmarks/coverage.py`` shows the gain.

    Reference:
        Hesterberg (2015), What Teachers Should Know about the Bootstrap, The American Statistician 69(4).

    >>> round(expanded_tail(10), 4), round(expanded_tail(1000), 4)
    (0.0086, 0.0248)
    """
    widened = math.sqrt(clusters / (clusters - 1)) * t_quantile((1 + level) / 2, clusters - 1)
    return NormalDist().cdf(-widened)


def percentile_interval(values: FloatArray, *, clusters: int, level: float = LEVEL) -> tuple[FloatArray, FloatArray]:
    """Expanded percentiles over the first axis, of the resamples with a defined score; NaN where there is none.

    Args:
        values: one row a resample, shape (resamples, ...).
        clusters: how many each resample drew, at least two.
        level: how often the interval is to hold the truth.
    """
    tail = expanded_tail(clusters, level=level)
    defined = np.isfinite(values).any(axis=0)
    kept = np.where(np.isfinite(values), values, np.nan)
    kept = np.where(defined, kept, 0.0)
    low, high = np.nanquantile(kept, [tail, 1 - tail], axis=0)
    return np.where(defined, low, np.nan), np.where(defined, high, np.nan)


def _as_floats(blocks: Iterator[IntArray]) -> Iterator[FloatArray]:
    return (block.astype(np.float64) for block in blocks)
