"""Heads: what a model learns to say of a clip, each under one contract; see ``Head``."""

from collections.abc import Iterable

from emotune.models.heads.classes import Classes
from emotune.models.heads.dimensions import Dimensions
from emotune.models.heads.gender import Gender
from emotune.models.heads.head import Head
from emotune.registry import Registry
from emotune.schema.labels import LabelSpace
from emotune.schema.truth import Truth

HEADS: Registry[type[Head]] = Registry("head", {"classes": Classes, "dimensions": Dimensions, "gender": Gender})
LABELS = ("classes", "dimensions")
"""The heads that a label space asks for; others are learnt beside these where a loss of theirs is on."""


def truths_of(space: LabelSpace, names: Iterable[str] = LABELS) -> dict[str, Truth]:
    """What heads learn from, by name of the truth; heads that the label space has nothing for are left out."""
    heads = [head for name in names if (head := HEADS[name](space)).size]
    return {name: truth for head in heads for name, truth in head.truths.items()}


__all__ = ["HEADS", "LABELS", "Head", "truths_of"]
