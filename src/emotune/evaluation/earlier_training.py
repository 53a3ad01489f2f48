"""Training of models that a run learns from beside its recordings: the speakers that they heard, as far as known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from emotune.schema.manifest import Manifest
from emotune.schema.speakers import Voice, known_voices, shared_voices, voice_named, voice_of

EARLIER = "earlier_training"
"""Its key in a run's provenance."""


@dataclass(frozen=True)
class EarlierTraining:
    """Speakers that a model was trained on before a run went on from it, or was taught by it.

    Args:
        name: of the model, for people.
        speakers: corpus, or None, and name of each that is known.
        complete: these are all.
        is_teacher: the run learns its answers; else it goes on from it.
        corpora: that it was trained on by its card, where it comes without its run.
    """

    name: str
    speakers: frozenset[tuple[str | None, str]]
    complete: bool
    is_teacher: bool = False
    corpora: tuple[str, ...] = ()

    @property
    def voices(self) -> frozenset[Voice]:
        """Keys of the speakers, however their names are written."""
        return frozenset(voice_named(corpus, name) for corpus, name in self.speakers)

    def heard_of(self, scored: Manifest) -> set[Voice]:
        """Keys of the scored speakers that it heard."""
        return shared_voices(known_voices(scored), self.voices)

    def notices(self, scored: Manifest, what: str = "this split") -> list[str]:
        """Says how many of the scored speakers it heard, or that nobody knows; empty where it heard none."""
        if shared := len(self.heard_of(scored)):
            part = "which taught this model" if self.is_teacher else "from which this model goes on"
            return [
                f"Speaker-dependent: {self.name}, {part}, was trained on {shared} of"
                f" {len(known_voices(scored))} speakers of {what},"
                " by corpus and name; figures say nothing about new speakers."
            ]
        return [] if self.complete else [self.unknown]

    @property
    def unknown(self) -> str:
        """Sentence for a model whose speakers are not all known."""
        part = "was taught by" if self.is_teacher else "goes on from"
        known = f", by its card trained on {', '.join(self.corpora)}" if self.corpora else ""
        return (
            f"This model {part} {self.name}{known}, and which speakers that heard is not known here: where it heard"
            " some of these, figures are optimistic."
        )

    def to_json(self) -> dict[str, Any]:
        """Plain data for a run's provenance."""
        speakers = sorted(self.speakers, key=lambda pair: (pair[0] or "", pair[1]))
        return {
            "name": self.name,
            "is_teacher": self.is_teacher,
            "speakers": [list(pair) for pair in speakers],
            "complete": self.complete,
            **({"corpora": list(self.corpora)} if self.corpora else {}),
        }


def earlier_in(about: Mapping[str, Any]) -> list[EarlierTraining]:
    """Models that a run learnt from, of its provenance; none for one that began with a bare encoder."""
    return [
        EarlierTraining(
            str(found["name"]),
            frozenset((corpus, str(name)) for corpus, name in found["speakers"]),
            bool(found["complete"]),
            bool(found["is_teacher"]),
            tuple(map(str, found.get("corpora", ()))),
        )
        for found in about.get(EARLIER, ())
    ]


def earlier_notices(earlier: Sequence[EarlierTraining], scored: Manifest, what: str = "this split") -> list[str]:
    """Says of each model how many of the scored speakers it heard, or that nobody knows."""
    return [sentence for one in earlier for sentence in one.notices(scored, what)]


def as_one(each: Sequence[tuple[EarlierTraining, Manifest]]) -> list[EarlierTraining]:
    """One model in place of those that the folds of a protocol learnt from, and one in place of their teachers.

    Args:
        each: a fold's model, and what is scored of that fold: of its speakers alone the model's are told.
    """
    found = []
    for is_teacher in sorted({one.is_teacher for one, _ in each}):
        own = [(one, scored) for one, scored in each if one.is_teacher is is_teacher]
        names = ", ".join(dict.fromkeys(one.name for one, _ in own))
        speakers = set[tuple[str | None, str]]()
        for one, scored in own:
            heard = one.heard_of(scored)
            speakers |= {(u.corpus, u.speaker) for u in scored if u.speaker is not None and voice_of(u) in heard}
        complete = all(one.complete for one, _ in own)
        corpora = tuple(dict.fromkeys(name for one, _ in own for name in one.corpora))
        found.append(EarlierTraining(names, frozenset(speakers), complete, is_teacher, corpora))
    return found


def stamp_with_earlier(own: bool | str, earlier: Sequence[EarlierTraining], scored: Manifest) -> bool | str:
    """Speaker dependence of a run that is ``own`` by its own training alone: True, False, or ``unknown``."""
    if own is True or any(one.heard_of(scored) for one in earlier):
        return True
    return own if all(one.complete for one in earlier) else "unknown"
