"""Extra inputs of a model: each a value and whether it is known, to features that join those of the sound."""

from emotune.models.conditions.condition import Condition
from emotune.models.conditions.joined import Joined
from emotune.models.conditions.tables import CONDITIONS, JOINS

__all__ = ["CONDITIONS", "JOINS", "Condition", "Joined"]
