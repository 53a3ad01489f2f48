"""Conditions: what a model may be given of a clip beside its sound, such as the speaker's gender or the words.

A condition is one file here and one line in ``CONDITIONS``; everything else, from the recipe's section to the model
card, follows what its class says of itself, see ``emotune.conditions.condition``.
"""

from emotune.conditions.condition import Condition
from emotune.conditions.gender import Gender
from emotune.conditions.text import Text
from emotune.registry import Registry

CONDITIONS: Registry[type[Condition]] = Registry(
    "condition",
    {"gender": Gender, "text": Text},
)
