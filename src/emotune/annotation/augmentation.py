"""Training manifests with labels of people and of a rater, for studies of what the rater's labels are worth."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from emotune.errors import ConfigError, CorpusError
from emotune.evaluation.raters import HUMAN, SOURCE, UNPARSED, is_of_people, votes_of
from emotune.evaluation.words.reader import text_of, wording_of
from emotune.io.tables import check_output
from emotune.schema.manifest import Manifest
from emotune.schema.splits import TRAIN
from emotune.schema.utterance import Utterance
from emotune.votes.consensus import plurality

RATER, RANDOM = "rater", "random"
LABELS = {
    RATER: "the class that the rater named most often; an utterance without one is left out",
    RANDOM: "a class drawn at random, for the same utterances: the control",
    HUMAN: "the label of people, for the same utterances: what could at best be had",
}


def augmented(
    manifest: Manifest,
    rater: str,
    *,
    human_share: float,
    extra_share: float,
    labels: str = RATER,
    seed: int = 0,
) -> Manifest:
    """Keeps people's labels of a part of the training split, and labels a share of the others as a rater does.

    What is said in the same words is in the same part. All other splits stay as they are, with people's labels and
    votes: these alone are what is scored.

    Args:
        manifest: annotated, with people's labels.
        rater: its name, such as ``llm:lexicon``.
        human_share: of the training split, that keeps people's labels.
        extra_share: of the others, that is labelled by ``labels``; the rest is left out.
        labels: one of ``LABELS``.
        seed: of the parts and of random labels; the same seed gives the same parts for every share and label.

    Raises:
        ConfigError: for shares outside [0, 1], or unknown labels.
        CorpusError: when the training split is empty, or holds no answer of the rater, or labels are not people's.
    """
    if not 0 < human_share <= 1 or not 0 <= extra_share <= 1:
        raise ConfigError(f"The shares are {human_share} and {extra_share}, expected above 0, and 0, to 1.")
    if labels not in LABELS:
        raise ConfigError(f"labels is '{labels}', expected one of {', '.join(LABELS)}.")
    strange = [u.utterance_id for u in manifest if not is_of_people(u)]
    if strange:
        raise CorpusError(
            f"{len(strange)} labels are not people's, such as that of {strange[0]}: annotate the manifest without"
            " --label, and augment that."
        )
    training = [u for u in manifest if u.split == TRAIN and u.emotion is not None]
    classes = manifest.label_space.classes
    said = {u.utterance_id: votes_of(u, rater, classes) for u in training}
    if not any(said.values()):
        raise CorpusError(
            f"The training split holds no answer of the rater {rater}: annotate it first with `emotune annotate"
            " --split train`."
        )
    order = _texts_in_order(training, seed)
    human = set(order[: max(1, round(human_share * len(order)))])
    others = [text for text in order if text not in human]
    extra = set(others[: round(extra_share * len(others))])
    generator = np.random.default_rng([seed, 1])
    drawn = dict(zip(others, generator.integers(len(classes), size=len(others)), strict=True))
    kept: list[Utterance] = []
    for utterance in manifest:
        words = _words(utterance)
        if utterance.split != TRAIN:
            kept.append(utterance)
        elif utterance.emotion is not None and words in human:
            kept.append(_from(utterance, utterance.emotion, HUMAN))
        elif utterance.emotion is not None and words in extra:
            votes = said[utterance.utterance_id] or {}
            answer = plurality({name: n for name, n in votes.items() if name != UNPARSED and n}, classes)
            if answer is not None:
                own = {RATER: answer, RANDOM: classes[int(drawn[words])], HUMAN: utterance.emotion}
                kept.append(_from(utterance, own[labels], labels))
    return manifest.replace_utterances(kept)


def augment_manifest(
    manifest_path: Path,
    output: Path,
    rater: str,
    *,
    human_share: float,
    extra_share: float,
    labels: str = RATER,
    seed: int = 0,
    spreadsheet_safe: bool = False,
) -> Manifest:
    """Reads a manifest, and writes it as ``augmented`` makes it.

    Raises:
        EmotuneError: for a manifest or an output that cannot be used, and as ``augmented`` has it.
    """
    check_output(output, inputs=[manifest_path], spreadsheet_safe=spreadsheet_safe)
    manifest = Manifest.read(manifest_path)
    made = augmented(manifest, rater, human_share=human_share, extra_share=extra_share, labels=labels, seed=seed)
    made.write(output, spreadsheet_safe=spreadsheet_safe)
    return made


def _words(utterance: Utterance) -> str:
    return wording_of(text_of(utterance) or utterance.utterance_id)


def _texts_in_order(training: Sequence[Utterance], seed: int) -> list[str]:
    """All that is said, in a drawn order that goes through the classes in turn."""
    by_class: dict[str, dict[str, None]] = {}
    for utterance in training:
        by_class.setdefault(utterance.emotion or "", {})[_words(utterance)] = None
    generator = np.random.default_rng(seed)
    drawn = [
        [sorted(own)[int(place)] for place in generator.permutation(len(own))] for _, own in sorted(by_class.items())
    ]
    return list(dict.fromkeys(own[place] for place in range(max(map(len, drawn))) for own in drawn if place < len(own)))


def _from(utterance: Utterance, emotion: str | None, source: str) -> Utterance:
    """Utterance with a label and its source; votes go, lest a recipe learns them in its place."""
    return dataclasses.replace(utterance, emotion=emotion, votes={}, extra={**utterance.extra, SOURCE: source})
