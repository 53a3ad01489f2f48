"""Spans of frames that pre-training hides from an encoder, begun where a clip is loud and where it is quiet.

Reference:
    Chen et al. (2023), Vesper, arXiv 2307.10757: lengths, numbers and loudness of the spans. Theirs may overlap and be
    pushed out of the loudness that was chosen; here spans of one kind lie apart, which is ours.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from emotune.audio import FloatArray

IntArray = NDArray[np.int64]
WINDOW = 400
"""Samples whose root mean square a frame has."""
SMALL, MOST_SMALL = 8, 20
LARGE, MOST_LARGE = 40, 4
"""Frames of a span, and how many of them a clip has at most."""
LOUD, QUIET = (0.5, 1.0), (0.2, 0.49)
"""Shares of the clip's own largest root mean square between which a frame counts as loud or quiet."""
_MOST = 0.64  # share of the frames that the spans of one kind may cover
_APART = 1  # frames between two spans of one kind


def loudness(samples: FloatArray, *, hop: int) -> FloatArray:
    """Root mean square of each frame, shape (samples,) -> (frames,); a clip under one window is one frame."""
    if len(samples) < WINDOW:
        return np.sqrt(np.mean(np.square(samples, dtype=np.float64), keepdims=True))
    windows = np.lib.stride_tricks.sliding_window_view(samples.astype(np.float64), WINDOW)[::hop]
    return np.sqrt(np.mean(np.square(windows), axis=1))


def small_spans(levels: FloatArray, generator: np.random.Generator) -> IntArray:
    """First frames of a clip's small spans: half of them loud, half quiet, any where there are too few of those.

    Args:
        levels: ``loudness`` of the clip, shape (frames,).
        generator: of what is random.
    """
    count = _count(len(levels), SMALL, MOST_SMALL)
    starts = np.arange(max(1, len(levels) - SMALL + 1))
    shares = levels[starts] / max(float(levels.max()), np.finfo(float).tiny)
    chosen: list[int] = []
    _add(chosen, starts[_between(shares, LOUD)], count // 2, SMALL, generator)
    _add(chosen, starts[_between(shares, QUIET)], count, SMALL, generator)
    _add(chosen, starts, count, SMALL, generator)
    return np.array(chosen)


def large_spans(frames: int, small: IntArray, generator: np.random.Generator) -> IntArray:
    """First frames of a clip's large spans: those of small ones, and any where these lie too near to each other.

    A clip that is shorter than a large span is hidden from one of its small spans to its end.

    Args:
        frames: of the clip.
        small: what ``small_spans`` gave.
        generator: of what is random.
    """
    if frames < LARGE:
        return generator.permutation(small)[:1]
    count, starts = _count(frames, LARGE, MOST_LARGE), np.arange(frames - LARGE + 1)
    chosen: list[int] = []
    _add(chosen, small[small <= starts[-1]], count, LARGE, generator)
    _add(chosen, starts, count, LARGE, generator)
    return np.array(chosen)


def _count(frames: int, span: int, most: int) -> int:
    """Spans of a clip, at least one."""
    return min(most, max(1, int(_MOST * frames / span)))


def _between(shares: FloatArray, limits: tuple[float, float]) -> NDArray[np.bool_]:
    return (shares >= limits[0]) & (shares <= limits[1])


def _add(chosen: list[int], candidates: Iterable[int], count: int, span: int, generator: np.random.Generator) -> None:
    """Fills the chosen starts up to a count with candidates in random order that lie apart from all chosen."""
    for start in generator.permutation(np.asarray(candidates, dtype=np.int64)).tolist():
        if len(chosen) == count:
            return
        if all(abs(start - other) >= span + _APART for other in chosen):
            chosen.append(start)
