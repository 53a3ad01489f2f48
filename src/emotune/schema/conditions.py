"""Side information on a clip: gender and text, from the corpus or predicted, and the source that a model uses."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from emotune.errors import ConfigError, CorpusError
from emotune.registry import unknown_name_message
from emotune.schema.labels import LabelSpace
from emotune.schema.manifest import Manifest, Utterance

GENDER, TEXT = "gender", "text"
GENDER_CLASSES = ("female", "male")
GIVEN, PREDICTED, UNKNOWN, WRONG = "given", "predicted", "unknown", "wrong"
SOURCES = {
    GIVEN: "the value of the corpus or the user; if missing, the predicted one",
    PREDICTED: "the predicted value, even if the corpus has one",
    UNKNOWN: "nothing, as where neither is there",
    WRONG: "the other gender than the given one, to see what a mistake does",
}
COLUMNS = {name: (name, f"{name}_predicted") for name in (GENDER, TEXT)}
_OTHER: Mapping[str, str] = dict(zip(GENDER_CLASSES, reversed(GENDER_CLASSES), strict=True))
Known = Mapping[str, str]
"""Column of a manifest -> value, without those that are unknown; an empty text was listened to and has no words."""


def known_of(utterance: Utterance) -> dict[str, str]:
    """Side information that a manifest holds for an utterance."""
    values = {column: getattr(utterance, column) for columns in COLUMNS.values() for column in columns}
    return {column: value for column, value in values.items() if value is not None}


def value_of(name: str, known: Known, source: str) -> tuple[str | None, str]:
    """The value of a condition, and where it comes from: ``given``, ``predicted``, ``wrong`` or ``unknown``.

    Args:
        name: ``gender`` or ``text``.
        known: what is known of the clip.
        source: one of ``SOURCES``.

    >>> value_of("gender", {"gender_predicted": "female"}, "given")
    ('female', 'predicted')
    >>> value_of("gender", {"gender": "other"}, "given")
    (None, 'unknown')
    """
    given, predicted = (_usable(name, known.get(column)) for column in COLUMNS[name])
    if source == WRONG:
        other = _OTHER.get(given or "")
        return (None, UNKNOWN) if other is None else (other, WRONG)
    if source == GIVEN and given is not None:
        return given, GIVEN
    if source in (GIVEN, PREDICTED) and predicted is not None:
        return predicted, PREDICTED
    return None, UNKNOWN


def lacks(name: str, known: Known, source: str) -> bool:
    """Tells whether a condition is still to be predicted: it is unknown, and no model has been asked for it.

    >>> lacks("text", {"gender": "male"}, "given"), lacks("text", {"text_predicted": ""}, "given")
    (True, False)
    """
    if source not in (GIVEN, PREDICTED) or known.get(COLUMNS[name][1]) == "":
        return False
    return value_of(name, known, source)[0] is None


def _usable(name: str, value: str | None) -> str | None:
    if name == GENDER:
        return value if value in GENDER_CLASSES else None
    return value if value and value.strip() else None


def gender_shares(value: str | None) -> tuple[float, ...]:
    """One for a gender and zero for the other, in the order of ``GENDER_CLASSES``; NaN where unknown.

    >>> gender_shares("male"), gender_shares(None)
    ((0.0, 1.0), (nan, nan))
    """
    if value not in GENDER_CLASSES:
        return (math.nan,) * len(GENDER_CLASSES)
    return tuple(float(value == name) for name in GENDER_CLASSES)


def used_text(used: Mapping[str, str]) -> str | None:
    """Text of the column ``conditions_used``; None for a model without conditions.

    >>> used_text({"gender": "given", "text": "unknown"})
    'gender=given text=unknown'
    """
    return " ".join(f"{name}={origin}" for name, origin in used.items()) or None


def origins_used(used: Iterable[str | None]) -> dict[str, dict[str, int]]:
    """Condition -> where its values came from -> in how many rows.

    >>> origins_used(["gender=given", "gender=given", "gender=unknown", None])
    {'gender': {'given': 2, 'unknown': 1}}
    """
    counts: dict[str, Counter[str]] = {}
    for text in used:
        for pair in (text or "").split():
            name, _, origin = pair.partition("=")
            counts.setdefault(name, Counter())[origin] += 1
    return {name: dict(of_one) for name, of_one in counts.items()}


def unknown_though_asked(asked: Mapping[str, str], used: Iterable[str | None]) -> list[str]:
    """Warnings for requested conditions that some rows lacked.

    >>> unknown_though_asked({"gender": "wrong"}, ["gender=unknown", "gender=wrong"])
    ['--condition gender=wrong: no gender is given for 1 of 2 recordings, so the model was told that it is unknown']
    """
    counts = origins_used(used) if asked else {}
    return [
        f"--condition {name}={source}: no {name} is {'given' if source == WRONG else 'known'} for"
        f" {counts[name][UNKNOWN]} of {sum(counts[name].values())} recordings, so the model was told that it is unknown"
        for name, source in asked.items()
        if source != UNKNOWN and UNKNOWN in counts.get(name, {})
    ]


def asked_notes(asked: Mapping[str, str], used: Iterable[str | None]) -> list[str]:
    """Notes on requested conditions, since they make the scores differ from the model's usual ones.

    >>> asked_notes({"gender": "unknown"}, ["gender=unknown"])
    ['Scored with --condition gender=unknown (nothing, as where neither is there): unknown for 1 of 1 utterances.']
    """
    counts = origins_used(used)
    return [
        f"Scored with --condition {name}={source} ({SOURCES[source]}): "
        + ", ".join(f"{origin} for {count}" for origin, count in counts[name].items())
        + f" of {sum(counts[name].values())} utterances."
        for name, source in asked.items()
        if name in counts
    ]


def check_sources(sources: Mapping[str, str], conditions: Sequence[str]) -> None:
    """Refuses an unknown condition or an unknown source."""
    for name, source in sources.items():
        if name not in conditions:
            known = ", ".join(conditions) or "none"
            raise ConfigError(f"Condition '{name}': this model takes {known}.")
        if source not in SOURCES:
            raise ConfigError(f"Condition '{name}': {unknown_name_message('source', source, SOURCES)}")
        if source == WRONG and name != GENDER:
            raise ConfigError(f"Condition '{name}': only gender can be 'wrong'.")


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
