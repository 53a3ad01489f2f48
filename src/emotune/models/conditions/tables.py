"""The names of conditions, and of the ways to join them."""

from emotune.models.conditions.condition import Condition, Gender, Text
from emotune.models.conditions.join import Concatenation, FeatureWise, Join
from emotune.registry import Registry

CONDITIONS: Registry[type[Condition]] = Registry("condition", {"gender": Gender, "text": Text})
JOINS: Registry[type[Join]] = Registry("join", {"concat": Concatenation, "film": FeatureWise})
