"""Conditions as a model takes them: vectors to features, which join those of the sound."""

# pyright: strict, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

from typing import TYPE_CHECKING

from emotune.registry import Registry

if TYPE_CHECKING:
    from emotune.models.conditions.join import Join

JOINS: Registry[type[Join]] = Registry(
    "join",
    {
        "concat": "emotune.models.conditions.join:Concatenation",
        "film": "emotune.models.conditions.join:FeatureWise",
    },
    extra="train",
)
