"""Speaker dependence: overlap between the speakers of training and those of scoring."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from emotune.schema.manifest import Manifest
from emotune.schema.speakers import Voice, heard_speakers, known_voices, shared_voices, voice_named


@dataclass(frozen=True)
class SpeakerDependence:
    """Scored speakers that were in training, and whether all speakers are known on both sides."""

    shared: int
    scored: int
    all_known: bool

    @property
    def stamp(self) -> bool | str:
        """True with a shared speaker, False without one, ``unknown`` where nameless speakers may be shared."""
        return True if self.shared else (False if self.all_known else "unknown")

    @property
    def notices(self) -> list[str]:
        """The banner of a report; none for speakers that training did not hear, or that have no name."""
        if not self.shared:
            return []
        return [
            f"Speaker-dependent: {self.shared} of {self.scored} speakers of this split were trained on; figures say"
            " nothing about new speakers."
        ]


def speaker_dependence(trained_on: Manifest, scored: Manifest) -> SpeakerDependence:
    """Compares the speakers of a run's training utterances with those of the scored ones.

    Args:
        trained_on: the training split alone.
        scored: the truth that predictions are held against.
    """
    return speaker_dependence_of_parts([(trained_on, scored)])


def speaker_dependence_of_parts(parts: Iterable[tuple[Manifest, Manifest]]) -> SpeakerDependence:
    """Counts speakers over the parts of a cross-validation, each once: pairs of trained on and scored."""
    scored, shared, all_known = set[Voice](), set[Voice](), True
    for trained_on, tested in parts:
        there = known_voices(tested)
        heard = {voice_named(corpus, name) for corpus, name in heard_speakers(trained_on)}
        scored |= there
        shared |= shared_voices(there, heard)
        all_known = all_known and all(u.speaker is not None for part in (trained_on, tested) for u in part)
    return SpeakerDependence(len(shared), len(scored), all_known)
