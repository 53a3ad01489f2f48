"""Training of the model that a run goes on from: the speakers that it heard, as far as that is known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from emotune.schema.manifest import Manifest
from emotune.schema.speakers import voice_named, voice_of

STARTED_FROM = "started_from"
"""Its key in a run's provenance."""


@dataclass(frozen=True)
class EarlierTraining:
    """Speakers that a model was trained on before a run went on from it.

    Args:
        name: of the model, for people.
        speakers: corpus, or None, and name of each that is known.
        complete: these are all.
    """

    name: str
    speakers: frozenset[tuple[str | None, str]]
    complete: bool

    def notices(self, scored: Manifest, what: str = "this split") -> list[str]:
        """Says how many of the scored speakers it heard, or that nobody knows; empty where it heard none."""
        heard = {voice_named(corpus, name) for corpus, name in self.speakers}
        there = {voice_of(utterance) for utterance in scored} - {None}
        shared = len(heard & there)
        if shared:
            return [
                f"Speaker-dependent: {self.name}, from which this model goes on, heard {shared} of {len(there)}"
                f" speakers of {what} in training, by corpus and name; figures say nothing about new speakers."
            ]
        return [] if self.complete else [self.unknown]

    @property
    def unknown(self) -> str:
        """Sentence for a model whose speakers are not all known."""
        return (
            f"This model goes on from {self.name}, and which speakers that heard is not known here: where it heard"
            " some of these, figures are optimistic."
        )

    def stamp(self, own: bool | str, scored: Manifest) -> bool | str:
        """Speaker dependence of a run that is ``own`` by its own training alone."""
        notices = self.notices(scored)
        if own is True or not notices:
            return own
        return "unknown" if notices == [self.unknown] else True

    def to_json(self) -> dict[str, Any]:
        """Plain data for a run's provenance."""
        speakers = sorted(self.speakers, key=lambda pair: (pair[0] or "", pair[1]))
        return {"name": self.name, "speakers": [list(pair) for pair in speakers], "complete": self.complete}

    @classmethod
    def of_run(cls, about: Mapping[str, Any]) -> EarlierTraining | None:
        """Reads it from a run's provenance; None for one that began with an encoder, or before it was noted."""
        found: Any = about.get(STARTED_FROM)
        if found is None:
            return None
        speakers = frozenset((corpus, str(name)) for corpus, name in found["speakers"])
        return cls(str(found["name"]), speakers, bool(found["complete"]))
