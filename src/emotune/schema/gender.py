"""The speaker's gender as a label: its names, as shares for a model, and in the place of emotion."""

from __future__ import annotations

import dataclasses
import math

from emotune.errors import CorpusError
from emotune.schema.labels import LabelSpace
from emotune.schema.manifest import Manifest

GENDER = "gender"
GENDER_CLASSES = ("female", "male")
_WORDS = {"f": "female", "w": "female", "woman": "female", "m": "male", "man": "male", "": None}


def gender_name(word: str | None) -> str | None:
    """Our name of a gender; a word we do not know stays, in lower case, and is refused later.

    >>> gender_name("F"), gender_name("Male"), gender_name("Unknown")
    ('female', 'male', 'unknown')
    """
    return None if word is None else _WORDS.get(word.lower(), word.lower())


def gender_shares(value: str | None) -> tuple[float, ...]:
    """One for a gender and zero for the other, in the order of ``GENDER_CLASSES``; NaN where unknown.

    >>> gender_shares("male"), gender_shares(None)
    ((0.0, 1.0), (nan, nan))
    """
    if value not in GENDER_CLASSES:
        return (math.nan,) * len(GENDER_CLASSES)
    return tuple(float(value == name) for name in GENDER_CLASSES)


def gender_as_class(manifest: Manifest) -> Manifest:
    """The manifest with gender in place of emotion, to train or score a gender predictor; votes and dimensions go.

    Raises:
        CorpusError: when no utterance is female, or none male.
    """
    utterances = [
        dataclasses.replace(u, emotion=u.gender, emotion_original=u.gender, votes={}, dimensions={})
        for u in manifest
        if u.gender in GENDER_CLASSES
    ]
    missing = [name for name in GENDER_CLASSES if all(u.gender != name for u in utterances)]
    if missing:
        raise CorpusError(
            f"The manifest has no utterance of gender {' or '.join(missing)}: gender can neither be learnt nor scored."
        )
    return dataclasses.replace(manifest, utterances=tuple(utterances), label_space=LabelSpace(GENDER_CLASSES))
