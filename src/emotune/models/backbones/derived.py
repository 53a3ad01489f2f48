"""Tensors made from weights, kept until a weight changes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import Tensor

Made = TypeVar("Made")


class Derived:
    """Remembers what was made of some weights, for forwards without a graph.

    A weight that is written to in place, replaced, or moved makes it anew. Copies and pickles start empty.
    """

    def __init__(self) -> None:
        self._key: Any = None
        self._value: Any = None

    def __call__(self, make: Callable[[], Made], weights: list[Tensor]) -> Made:
        """What ``make`` gives for ``weights``: all the tensors it reads."""
        key = None
        if not any(weight.is_inference() for weight in weights):  # their changes are not counted
            key = [(weight.data_ptr(), weight._version, weight.dtype, weight.device) for weight in weights]
        if key is None or key != self._key:
            with torch.no_grad():
                self._value = make()
            self._key = key
        return self._value

    def __deepcopy__(self, memo: dict[int, Any]) -> Derived:
        return Derived()

    def __getstate__(self) -> dict[str, Any]:
        return {"_key": None, "_value": None}
