"""The contract of a head: what it predicts, from which truth, how it is scored and stored."""

# pyright: strict, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Literal

from torch import Tensor

from emotune.schema.labels import LabelSpace
from emotune.schema.truth import Truth


class Head(ABC):
    """Task of a model, as it answers for a clip: a few numbers, from pooled features.

    The losses that teach a head name it, and the truth that they compare it with. A new head is a class of this kind,
    a line in ``HEADS`` and at least one loss.

    Args:
        space: classes and dimensions of the model.
    """

    about: str
    """what it is, in words for the model's card"""
    metrics: tuple[str, ...] = ()
    """entries of ``METRICS`` that score it on a split; () = it only helps the others to learn"""
    stored_as: Literal["probabilities", "dimensions"] | None = None
    """the part of a prediction that holds its answers; None = they are not kept"""
    hears_conditions: bool = True
    """from the pooled sound with the conditions joined to it, not from the sound alone"""
    is_learnt_by_layer: bool = True
    """where every layer has its own head, each of these learns, not only their expectation"""

    def __init__(self, space: LabelSpace) -> None:
        self.space = space

    @property
    @abstractmethod
    def size(self) -> int:
        """Count of its numbers for a clip; 0 = a model of this label space has no such head."""

    @property
    @abstractmethod
    def truths(self) -> Mapping[str, Truth]:
        """Truths that its losses may learn from, by names of its own; each of ``size`` numbers an utterance."""

    def of_layer(self, scores: Tensor) -> Tensor:
        """A layer's scores, shape (batch, layers, size), in the form whose expectation over layers is the output."""
        return scores

    def answers(self, scores: Tensor) -> Tensor:
        """Answers to store for its scores, both of shape (batch, size)."""
        return scores.float()
