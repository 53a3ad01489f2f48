"""Entry of the table of metrics: a function, the arrays it compares and a perfect prediction's score."""

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
        """Tells whether a greater value is better."""
        return self.perfect > 0

    def __call__(self, truth: ArrayLike, prediction: ArrayLike) -> float:
        """Applies the function."""
        return self.function(truth, prediction)
