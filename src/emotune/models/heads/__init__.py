"""Heads: what a model learns to say of a clip, each under one contract; see ``Head``."""

# pyright: strict, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from emotune.registry import Registry
from emotune.schema.labels import LabelSpace
from emotune.schema.truth import Truth

if TYPE_CHECKING:
    from emotune.models.heads.head import Head

HEADS: Registry[type[Head]] = Registry(
    "head",
    {
        "classes": "emotune.models.heads.classes:Classes",
        "dimensions": "emotune.models.heads.dimensions:Dimensions",
        "gender": "emotune.models.heads.gender:GenderHead",
    },
    extra="train",
)
LABELS = ("classes", "dimensions")
"""The heads that a label space asks for; others are learnt beside these where a loss of theirs is on."""


def truths_of(space: LabelSpace, names: Iterable[str] = LABELS) -> dict[str, Truth]:
    """Truths that heads learn from, by name of the truth; heads that the label space has nothing for are left out."""
    heads = [head for name in names if (head := HEADS[name](space)).size]
    return {name: truth for head in heads for name, truth in head.truths.items()}
