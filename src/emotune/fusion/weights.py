"""A weighted mean of the systems' answers, the weights found by a search that needs no derivative."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, permutations
from typing import Any

import numpy as np

from emotune.fusion.objective import Objective
from emotune.metrics.division import FloatArray

_DRAWN_STARTS = 10  # for each system
_GENERATIONS = 30
_FIRST_STEP, _LAST_STEP = 0.2, 0.004
_ROUNDING = 1e-12

Score = Callable[[FloatArray], float]


@dataclass(frozen=True, eq=False)
class Weighted:
    """sum_i w_i p_i with w >= 0 and sum w = 1; needs the answers of all systems."""

    weights: FloatArray
    needs_all = True

    def combine(self, values: FloatArray) -> FloatArray:
        """Combines answers, shape (systems, utterances, outputs) -> (utterances, outputs)."""
        return np.einsum("s,suo->uo", self.weights, values)

    def to_json(self) -> dict[str, Any]:
        """Plain data for a JSON file."""
        return {"weights": self.weights.tolist()}


def fit(
    values: FloatArray, objective: Objective, *, seed: int, speakers: Sequence[str | None] | None = None
) -> Weighted:
    """The weights with the greatest figure, never below the best single system's.

    Args:
        values: shape (systems, utterances, outputs), all finite.
        objective: what is maximised.
        seed: of the search.
        speakers: of no account here.
    """
    return Weighted(best_weights(objective.of_weights(values), len(values), seed=seed))


def best_weights(score: Score, systems: int, *, seed: int) -> FloatArray:
    """Weights on the simplex that maximise a score, shape (systems,).

    Macro-F1 only changes where an utterance changes its class: it is constant in pieces, and what follows a slope, or a
    model of one as COBYLA does, stalls. Differential evolution does not, and it begins from many starts at once: every
    single system, equal weights, and seeded draws from all over the simplex. The best that was seen anywhere is then
    moved by shifts of weight between two systems, ever smaller ones. Weights that score the same are a plateau; the
    answer lies near its middle, farthest from where the score falls, so that equal systems get equal weights.

    Args:
        score: of weights; every single system is tried, so that the result scores no less than any.
        systems: how many, at least one.
        seed: of the search, which is the same for the same seed.

    Reference:
        Storn & Price (1997), Differential Evolution, Journal of Global Optimization 11, through scipy.
    """
    if systems == 1:
        return np.ones(1)
    best = _Best(score)
    generator = np.random.default_rng(seed)
    drawn = generator.dirichlet(np.ones(systems), _DRAWN_STARTS * systems)
    starts = np.concatenate([np.eye(systems), np.full((1, systems), 1 / systems), drawn])
    for start in starts:
        best.offer(start)
    _evolve(best, starts, generator)
    _shift(best)
    _centre(best)
    return best.weights


class _Best:
    """The best weights that were tried; of equal ones the first stays."""

    def __init__(self, score: Score) -> None:
        self.score = score
        self.weights = np.zeros(0)
        self.value = -np.inf

    def offer(self, weights: FloatArray) -> float:
        """Tries weights, and keeps them if they are better."""
        value = self.score(weights)
        value = value if np.isfinite(value) else -np.inf
        if value > self.value + _ROUNDING:
            self.weights, self.value = weights.copy(), value
        return value


def _evolve(best: _Best, starts: FloatArray, generator: np.random.Generator) -> None:
    optimize = importlib.import_module("scipy.optimize")  # of the extra train

    def loss(point: FloatArray) -> float:
        value = best.offer(_on_simplex(point))
        return -value if np.isfinite(value) else 1e9

    optimize.differential_evolution(
        loss,
        [(0.0, 1.0)] * starts.shape[1],
        init=starts,
        maxiter=_GENERATIONS,
        tol=0.0,
        polish=False,
        seed=generator,
    )


def _on_simplex(point: FloatArray) -> FloatArray:
    total = point.sum()
    return point / total if total > 0 else np.full(len(point), 1 / len(point))


def _shift(best: _Best) -> None:
    """Moves weight from one system to another as long as that helps, then tries half as much."""
    step = _FIRST_STEP
    while step > _LAST_STEP:
        before = best.value
        for giver, taker in permutations(range(len(best.weights)), 2):
            best.offer(_moved(best.weights, giver, taker, min(step, best.weights[giver])))
        if best.value == before:
            step /= 2


def _moved(weights: FloatArray, giver: int, taker: int, amount: float) -> FloatArray:
    moved = weights.copy()
    moved[giver], moved[taker] = weights[giver] - amount, weights[taker] + amount
    return moved


def _centre(best: _Best) -> None:
    """Centres the best weights on their plateau, between each two systems in turn."""
    while True:
        before, centred = best.value, best.weights
        for weights in _towards_middle(best, centred):
            centred = weights
        if best.value == before:  # nothing better was met on the way
            best.weights = centred
            return


def _towards_middle(best: _Best, weights: FloatArray) -> Iterator[FloatArray]:
    for _ in range(3):
        for giver, taker in combinations(range(len(weights)), 2):
            given = _reach(best, weights, giver, taker)
            taken = _reach(best, weights, taker, giver)
            middle = _moved(weights, giver, taker, (given - taken) / 2)
            if best.offer(middle) >= best.value - _ROUNDING:
                weights = middle
                yield weights


def _reach(best: _Best, weights: FloatArray, giver: int, taker: int) -> float:
    """Weight that one system can give another without a loss, by bisection."""
    low, high = 0.0, float(weights[giver])
    if best.offer(_moved(weights, giver, taker, high)) >= best.value - _ROUNDING:
        return high
    while high - low > _LAST_STEP / 4:
        middle = (low + high) / 2
        if best.offer(_moved(weights, giver, taker, middle)) >= best.value - _ROUNDING:
            low = middle
        else:
            high = middle
    return low
