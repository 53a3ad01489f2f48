"""Conditions as a model takes them: vectors to features, which join those of the sound."""

from emotune.models.conditions.join import Concatenation, FeatureWise, Join
from emotune.registry import Registry

JOINS: Registry[type[Join]] = Registry("join", {"concat": Concatenation, "film": FeatureWise})
