"""Conditions: what a model may be given of a clip beside its sound, such as the speaker's gender or the words.

A condition is one file here and one line in ``CONDITIONS``; everything else, from the recipe's section to the model
card, follows what its class says of itself, see ``emotune.conditions.condition``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from emotune.registry import Registry

if TYPE_CHECKING:
    from emotune.conditions.condition import Condition

CONDITIONS: Registry[type[Condition]] = Registry(
    "condition",
    {"gender": "emotune.conditions.gender:GenderCondition", "text": "emotune.conditions.text:Text"},
)
