"""The options of each loss in a recipe; all have a weight in the sum, and most are off until they are given one."""

# pyright: strict, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from emotune.section import Section


class LossOptions(Section):
    """The weight of a loss; options of other packages begin with this."""

    class_truth: ClassVar[Literal["labels", "votes"] | None] = None
    """what a loss of the classes learns from; None = it learns something else"""
    weight: float = Field(default=0.0, ge=0)
    """of this loss in the sum; 0 = off"""


class ClassWeightOptions(LossOptions):
    """Weights of the classes, for a loss that takes ``class_weights``."""

    class_truth = "labels"
    class_weights: Literal["balanced", "effective_number", "none"] = "balanced"
    """balanced = (N / (C n_c))^g of the training split; effective_number; none"""
    balanced_power: float = Field(default=1.0, gt=0, le=1)
    """g of balanced weights (N / (C n_c))^g; 0.5 as MEDUSA"""
    effective_beta: float = Field(default=0.999, ge=0, lt=1)
    """of effective_number"""


class CrossEntropyOptions(ClassWeightOptions):
    """Cross-entropy over classes."""

    weight: float = Field(default=1.0, ge=0)
    """of this loss in the sum; 0 = off"""
    smoothing: float = Field(default=0.0, ge=0, lt=1)
    """share of each target that is spread over all classes"""


class FocalOptions(ClassWeightOptions):
    """Cross-entropy times (1 - p)^gamma, for hard and rare classes; it is added to cross_entropy."""

    gamma: float = Field(default=2.0, ge=0)
    """how much less easy utterances count"""


class SoftCrossEntropyOptions(LossOptions):
    """Cross-entropy against the annotators' votes."""

    class_truth = "votes"
    smoothing: float = Field(default=0.0, ge=0, lt=1)
    """share of each target that is spread over all classes"""


class KLOptions(LossOptions):
    """KL(votes || prediction)."""

    class_truth = "votes"


class GenderLossOptions(LossOptions):
    """Cross-entropy of the speaker's gender, learnt beside emotion."""


class CCCOptions(LossOptions):
    """Mean of 1 - CCC over the dimensions, of the whole batch."""

    weight: float = Field(default=1.0, ge=0)
    """of this loss in the sum; 0 = off"""
