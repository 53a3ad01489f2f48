"""A paired test of two systems that swaps their predictions speaker by speaker, and its correction for many tests.

If two systems were equally good, it would not matter which of the two had said what of a speaker. So the difference of
their scores is compared with those under swaps of whole speakers; utterances of one speaker are never parted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from emotune.metrics.division import FloatArray, NumberArray

_BLOCK = 4_000_000
"""How many swaps are held in memory at once."""
_ROUNDING = 1e-12


def enumerates(clusters: int, resamples: int) -> bool:
    """Tells whether the test enumerates all swaps rather than drawing some at random."""
    return 2**clusters <= resamples


def swaps(clusters: int, *, resamples: int, seed: int) -> Iterator[FloatArray]:
    """Swaps of clusters, 1 = swapped, in blocks of shape (swaps of the block, clusters).

    All 2^clusters ways where these are at most ``resamples``, else as many random ones.
    """
    generator = np.random.default_rng(seed)
    every = enumerates(clusters, resamples)
    count = 2**clusters if every else resamples
    block = max(1, _BLOCK // max(1, clusters))
    for start in range(0, count, block):
        rows = min(block, count - start)
        if every:
            number = np.arange(start, start + rows)[:, None]
            yield (number >> np.arange(clusters) & 1).astype(np.float64)
        else:
            yield generator.integers(2, size=(rows, clusters)).astype(np.float64)


def swap_test(
    first: NumberArray,
    second: NumberArray,
    measure: Callable[[FloatArray], FloatArray],
    *,
    resamples: int = 10_000,
    seed: int = 0,
) -> float:
    """Two-sided p value of a paired permutation test over clusters; NaN if the difference is undefined.

    Exact when all swaps are gone through; then it cannot be below 2^-(clusters - 1), since swapping everyone gives the
    same difference again. Else one is added to both counts, so that it is never 0 and the test never too lenient.

    Args:
        first: one row a cluster, shape (clusters, ...), of numbers that add up over clusters and systems.
        second: likewise of the other system.
        measure: from sums (..., statistics) to scores (...).
        resamples: how many swaps to draw, unless all of them are fewer.
        seed: of the swaps.

    Reference:
        Phipson and Smyth (2010), Permutation P-values Should Never Be Zero.

    >>> hits, fewer = np.array([[9, 10], [8, 10], [7, 10]]), np.array([[5, 10], [6, 10], [6, 10]])
    >>> swap_test(hits, fewer, lambda sums: sums[..., 0] / sums[..., 1])
    0.25
    """
    clusters = len(first)
    shape = first.shape[1:]
    total, other = (np.asarray(rows, dtype=np.float64).sum(axis=0) for rows in (first, second))
    observed = abs(float(measure(total) - measure(other)))
    if not np.isfinite(observed):
        return float("nan")
    change = (np.asarray(second, dtype=np.float64) - first).reshape(clusters, -1)
    extreme = count = 0
    for chosen in swaps(clusters, resamples=resamples, seed=seed):
        moved = (chosen @ change).reshape(-1, *shape)
        difference = np.abs(measure(total + moved) - measure(other - moved))
        extreme += int((difference >= observed - _ROUNDING).sum())
        count += len(chosen)
    return extreme / count if enumerates(clusters, resamples) else (extreme + 1) / (count + 1)


def holm(values: Sequence[float]) -> list[float]:
    """Holm's correction of p values: the chance of any false finding stays that of a single test.

    NaN stays NaN and counts for nothing.

    Reference:
        Holm (1979), A Simple Sequentially Rejective Multiple Test Procedure.

    >>> [round(value, 2) for value in holm([0.01, 0.04, 0.03])]
    [0.03, 0.06, 0.06]
    """
    corrected = [float("nan")] * len(values)
    order = sorted((n for n, value in enumerate(values) if np.isfinite(value)), key=lambda n: values[n])
    largest = 0.0
    for position, n in enumerate(order):
        largest = max(largest, min(1.0, values[n] * (len(order) - position)))
        corrected[n] = largest
    return corrected
