"""Answers to windows that overlap, as segments that do not: the mean of what covers a moment, and few changes."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emotune.inference.timeline.windows import Window

CHANGE_COST = 0.5
"""Log probability times seconds that a change to another emotion must gain."""

_SMALLEST = 1e-12
Values = NDArray[np.float64]


@dataclass(frozen=True)
class Piece:
    """Part of a stretch with one answer, in samples at 16 kHz; ``values`` are probabilities, then dimensions."""

    start: int
    end: int
    values: Values


class Smoother:
    """Gathers the windows of one channel or speaker, and gives the pieces of each stretch when it ends.

    A stretch is parted into steps of a hop. The answer in a step is the mean over the windows that hold its middle,
    weighted by how near it is to theirs: 1 there, falling in a straight line to 0 at their ends. Of all ways to go
    through the classes the one is taken whose sum of log probability times seconds, less ``change_cost`` a change, is
    the largest. Steps with the same class are a piece; its values are their mean by length.

    Args:
        classes: how many of the values are probabilities; without any, each step is a piece.
        hop: samples of a step.
        rate_hz: samples a second.
        change_cost: of each change.
    """

    def __init__(self, classes: int, hop: int, *, rate_hz: int = 16000, change_cost: float = CHANGE_COST) -> None:
        self._classes = classes
        self._hop = hop
        self._rate_hz = rate_hz
        self._change_cost = change_cost
        self._windows: list[Window] = []
        self._values: list[Values | None] = []

    def add(self, window: Window, values: Values | None) -> list[Piece]:
        """Takes the values of the next window, shape (classes + dimensions,); at a stretch's end gives its pieces.

        Without values, steps that no other window holds are in no piece.
        """
        self._windows.append(window)
        self._values.append(values)
        if not window.ends_stretch:
            return []
        edges = step_edges(window.stretch_start, window.end, self._hop)
        steps = self._steps(edges)
        seconds = np.diff(edges) / self._rate_hz
        self._windows, self._values = [], []
        pieces: list[Piece] = []
        for first, stop in _runs([step is not None for step in steps]):
            answered = np.stack([step for step in steps[first:stop] if step is not None])
            pieces += self._pieces(edges[first : stop + 1], answered, seconds[first:stop])
        return pieces

    def _steps(self, edges: NDArray[np.int64]) -> list[Values | None]:
        """Weighted mean of each step, shape (classes + dimensions,); None where no window was answered."""
        middles: Values = (edges[:-1] + edges[1:]) / 2
        starts = np.array([window.start for window in self._windows], dtype=np.float64)
        ends = np.array([window.end for window in self._windows], dtype=np.float64)
        given = next((values for values in self._values if values is not None), None)
        if given is None:
            return [None] * len(middles)
        values = np.stack([np.zeros_like(given) if own is None else own for own in self._values])
        answered = np.array([own is not None for own in self._values])
        steps: list[Values | None] = []
        for middle in map(float, middles):
            first = int(np.searchsorted(ends, middle))
            stop = max(first + 1, int(np.searchsorted(starts, middle, side="right")))
            half = (ends[first:stop] - starts[first:stop]) / 2
            distance = np.abs(middle - (starts[first:stop] + ends[first:stop]) / 2)
            weights = np.maximum(1 - distance / half, 1e-3) * answered[first:stop]
            steps.append(weights @ values[first:stop] / weights.sum() if weights.any() else None)
        return steps

    def _pieces(self, edges: NDArray[np.int64], steps: Values, seconds: Values) -> list[Piece]:
        if not self._classes:
            return [Piece(int(edges[at]), int(edges[at + 1]), steps[at]) for at in range(len(steps))]
        path = steadiest(steps[:, : self._classes], seconds, self._change_cost)
        bounds = [0, *(np.flatnonzero(np.diff(path)) + 1).tolist(), len(path)]
        while True:
            parts = list(itertools.pairwise(bounds))
            means = [np.average(steps[a:b], axis=0, weights=seconds[a:b]) for a, b in parts]
            answers = [int(np.argmax(mean[: self._classes])) for mean in means]
            kept = [0, *(at + 1 for at in range(len(answers) - 1) if answers[at] != answers[at + 1]), len(answers)]
            if len(kept) == len(bounds):
                return [Piece(int(edges[a]), int(edges[b]), mean) for (a, b), mean in zip(parts, means, strict=True)]
            bounds = [bounds[at] for at in kept]  # the mean of a piece may have the class of its neighbour


def _runs(answered: Sequence[bool]) -> list[tuple[int, int]]:
    """First step, and the one behind the last, of each stretch of steps with an answer."""
    found: list[tuple[int, int]] = []
    at = 0
    for is_answered, run in itertools.groupby(answered):
        stop = at + len(list(run))
        found += [(at, stop)] if is_answered else []
        at = stop
    return found


def step_edges(start: int, end: int, hop: int) -> NDArray[np.int64]:
    """Edges of the steps of a stretch: one every hop; what is left at its end is a step from half a hop on.

    >>> step_edges(0, 25, 10), step_edges(0, 24, 10), step_edges(0, 4, 10)
    (array([ 0, 10, 20, 25]), array([ 0, 10, 24]), array([0, 4]))
    """
    count = max(1, round((end - start) / hop + 1e-9))
    return np.array([*(start + at * hop for at in range(count)), end], dtype=np.int64)


def steadiest(probabilities: Values, seconds: Sequence[float] | Values, change_cost: float) -> NDArray[np.intp]:
    """The class of each step, on the path with the largest log probability times seconds, less the cost of changes.

    Args:
        probabilities: shape (steps, classes).
        seconds: of the steps, shape (steps,).
        change_cost: of each change of class.

    Reference:
        Viterbi (1967), Error bounds for convolutional codes and an asymptotically optimum decoding algorithm.

    >>> flicker = np.array([[0.9, 0.1], [0.4, 0.6], [0.9, 0.1]])
    >>> steadiest(flicker, [1, 1, 1], 0.0), steadiest(flicker, [1, 1, 1], 0.5)
    (array([0, 1, 0]), array([0, 0, 0]))
    """
    gains: Values = np.log(np.maximum(probabilities, _SMALLEST)) * np.asarray(seconds)[:, np.newaxis]
    steps, classes = probabilities.shape
    best: Values = gains[0]
    came_from = np.empty((steps, classes), dtype=np.intp)
    stay = np.asarray(range(classes), dtype=np.intp)
    for at in range(1, steps):
        other = int(np.argmax(best))
        changes = best[other] - change_cost > best
        came_from[at] = np.where(changes, other, stay)
        best = np.where(changes, best[other] - change_cost, best) + gains[at]
    path = np.empty(steps, dtype=np.intp)
    path[-1] = np.argmax(best)
    for at in range(steps - 1, 0, -1):
        path[at - 1] = came_from[at, path[at]]
    return path
