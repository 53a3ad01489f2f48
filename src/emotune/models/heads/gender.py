"""The speaker's gender, learnt beside emotion."""

# pyright: strict, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

from collections.abc import Mapping

from emotune.models.heads.head import Head
from emotune.schema.gender import GENDER_CLASSES, gender_shares
from emotune.schema.truth import Numbers, Truth
from emotune.schema.utterance import Utterance


class GenderHead(Head):
    """Scores of the genders of ``GENDER_CLASSES``, from the sound alone; truth is the corpus's own word."""

    about = "the speaker's gender"
    hears_conditions = False
    is_learnt_by_layer = False

    @property
    def size(self) -> int:
        return len(GENDER_CLASSES)

    @property
    def truths(self) -> Mapping[str, Truth]:
        missing = "learns the speaker's gender, and no training utterance has one."
        return {"gender": Truth(_gender, missing=missing, is_matched=False)}


def _gender(utterance: Utterance) -> Numbers:
    return gender_shares(utterance.gender)
