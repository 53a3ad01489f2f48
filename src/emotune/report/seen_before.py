"""Overlap of what a model, or one before it, has learnt from with what it is scored on, in words for reports."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from emotune.evaluation.earlier_training import EarlierTraining, earlier_in, earlier_notices, stamp_with_earlier
from emotune.evaluation.speaker_dependence import SpeakerDependence, speaker_dependence
from emotune.io.hub import CARD, corpora_of
from emotune.schema.manifest import Manifest
from emotune.schema.run_folder import LoneModel, RunFolder
from emotune.schema.speakers import voice_of
from emotune.schema.splits import DEVELOPMENT, TRAIN

_UNKNOWN = SpeakerDependence(shared=0, scored=0, all_known=False)


@dataclass(frozen=True)
class SeenBefore:
    """Overlap of what a model has learnt from with what it is scored on.

    Args:
        speaker_dependent: True, False or ``unknown``, as ``SpeakerDependence.stamp``.
        sentences: one for each kind of overlap; none for an honest test.
    """

    speaker_dependent: bool | str
    sentences: tuple[str, ...]

    @classmethod
    def of(
        cls,
        manifest: Manifest,
        dependence: SpeakerDependence,
        earlier: Sequence[EarlierTraining],
        sentences: Sequence[str] = (),
    ) -> SeenBefore:
        """Joins what is known of the speakers of training, of models before it, and of its clips.

        Args:
            manifest: that is scored.
            dependence: how far training heard its speakers.
            earlier: models that were learnt from.
            sentences: on more than speakers.
        """
        stamp = stamp_with_earlier(dependence.stamp, earlier, manifest)
        return cls(stamp, (*dependence.notices, *sentences, *earlier_notices(earlier, manifest)))


def seen_by(run: RunFolder, manifest: Manifest) -> SeenBefore:
    """Overlap of a manifest with what a run, or a model without its run, has learnt from."""
    earlier = earlier_in(run.information())
    if isinstance(run, LoneModel):
        return SeenBefore.of(manifest, _UNKNOWN, earlier, [trained_elsewhere(run)])
    own = Manifest.read(run.manifest)
    dependence = speaker_dependence(own.filter(lambda utterance: utterance.split == TRAIN), manifest)
    return SeenBefore.of(manifest, dependence, earlier, overlap_sentences(own, manifest))


def trained_elsewhere(model: LoneModel) -> str:
    """Says what the card of a model without its run names as its training data, or that nobody knows."""
    if corpora := corpora_of(model.path / CARD):
        return (
            f"By its card this model was trained on {', '.join(corpora)}: of recordings or speakers from there,"
            " whatever they are called here, figures are optimistic."
        )
    return (
        "This model's training data are not known here: where it heard some of these recordings or speakers, figures"
        " are optimistic."
    )


def overlap_sentences(run_manifest: Manifest, manifest: Manifest) -> list[str]:
    """Says which of the scored utterances the run knew already, one sentence a fact; empty for an honest test.

    Speakers of the training split are not named here: ``speaker_dependence`` counts them.
    """
    sentences: list[str] = []
    for split, verb in ((TRAIN, "was trained on"), (DEVELOPMENT, "chose layer, epoch or settings by")):
        known = [utterance for utterance in run_manifest if utterance.split == split]
        contents = {utterance.content_sha256 for utterance in known} - {None}
        voices = {voice_of(utterance) for utterance in known} - {None}
        clips = sum(utterance.content_sha256 in contents for utterance in manifest)
        speakers = len({voice_of(utterance) for utterance in manifest} & voices)
        if clips:
            sentences.append(f"The model {verb} {clips} of these {len(manifest)} utterances: figures are optimistic.")
        elif speakers and split != "train":
            sentences.append(f"The model {verb} {speakers} of these speakers: figures are optimistic.")
    return sentences
