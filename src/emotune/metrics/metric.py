"""What the table of metrics holds: a function, what it compares and what a perfect prediction gets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from numpy.typing import ArrayLike


@dataclass(frozen=True)
class Metric:
    """A function of truth and prediction that gives one number, NaN where it is undefined.

    Args:
        function: f(truth, prediction) -> float.
        compares: the kind of arrays it takes, see ``emotune.metrics``.
        perfect: what a perfect prediction gets: 1 where greater is better, 0 where smaller is.
    """

    function: Callable[[ArrayLike, ArrayLike], float]
    compares: Literal["classes", "values", "probabilities", "distributions"]
    perfect: float

    @property
    def greater_is_better(self) -> bool:
        return self.perfect > 0

    def __call__(self, truth: ArrayLike, prediction: ArrayLike) -> float:
        return self.function(truth, prediction)
