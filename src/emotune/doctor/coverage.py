"""Coverage of the splits: classes, speakers, genders and sentences in each."""

from __future__ import annotations

from collections.abc import Sequence

from emotune.doctor.finding import Case, Finding, case_of, findings_of, ids
from emotune.schema.manifest import Manifest
from emotune.schema.utterance import Utterance

FEW_UTTERANCES = 10
SPEAKERS_FOR_A_RECALL = 2


def coverage(manifest: Manifest) -> tuple[Finding, ...]:
    """Notes on gaps in the splits that limit a score's meaning."""
    unassigned = [utterance for utterance in manifest if utterance.split is None]
    names = sorted({utterance.split for utterance in manifest if utterance.split is not None})
    splits = {name: [utterance for utterance in manifest if utterance.split == name] for name in names}
    return (
        *findings_of(
            "no_split",
            "note",
            ("manifest without splits", ""),
            [Case("no utterance is in a split, so nothing can leak between them yet", ())] if not splits else [],
            "Make splits with `emotune corpus split`, then check again.",
        ),
        *findings_of(
            "unassigned",
            "note",
            ("utterance in no split", "utterances in no split"),
            map(case_of, unassigned if splits else []),
            "They are neither trained on nor scored.",
        ),
        *_unknown(manifest),
        *_classes(manifest, splits),
        *findings_of(
            "one_speaker",
            "note",
            ("split with a single speaker", "splits with a single speaker"),
            (Case(f"{name}: {found[0].speaker}", ()) for name, found in splits.items() if len(_speakers(found)) == 1),
            "A figure of one speaker says nothing about others: use more speakers, or folds.",
        ),
        *_shared_texts(manifest),
    )


def _unknown(manifest: Manifest) -> tuple[Finding, ...]:
    return (
        *findings_of(
            "unknown_speaker",
            "note",
            ("utterance of an unknown speaker", "utterances of unknown speakers"),
            (case_of(u) for u in manifest if u.speaker is None),
            "That splits share these speakers cannot be ruled out: add the column 'speaker'.",
        ),
        *findings_of(
            "unknown_gender",
            "note",
            ("utterance of unknown gender", "utterances of unknown gender"),
            (case_of(u) for u in manifest if u.gender in (None, "unknown")),
            "There are no figures by gender for them: add the column 'gender'.",
        ),
    )


def _classes(manifest: Manifest, splits: dict[str, list[Utterance]]) -> tuple[Finding, ...]:
    absent, small = [], []
    for split, members in splits.items():
        for name in manifest.label_space.classes:
            found = [utterance for utterance in members if utterance.emotion == name]
            speakers = _speakers(found)
            few = bool(speakers) and len(speakers) < SPEAKERS_FOR_A_RECALL and all(u.speaker for u in found)
            if not found:
                absent.append(Case(f"{name} in {split}"))
            elif few or len(found) < FEW_UTTERANCES:
                words = f"{name} in {split}: {len(found)} utterances, {len(speakers)} speakers"
                small.append(Case(words, ids(found)))
    return (
        *findings_of(
            "class_absent",
            "note",
            ("class absent from a split", "classes absent from splits"),
            absent,
            "Nothing is learnt or scored of them there; leave them out with data.drop, or split anew.",
        ),
        *findings_of(
            "class_small",
            "note",
            ("class too small to score in a split", "classes too small to score in a split"),
            small,
            f"Below {FEW_UTTERANCES} utterances or {SPEAKERS_FOR_A_RECALL} speakers,"
            " a recall is little more than an anecdote.",
        ),
    )


def _shared_texts(manifest: Manifest) -> tuple[Finding, ...]:
    splits_of: dict[str, set[str]] = {}
    for utterance in manifest:
        if utterance.text and utterance.split:
            splits_of.setdefault(" ".join(utterance.text.lower().split()), set()).add(utterance.split)
    return findings_of(
        "shared_text",
        "note",
        ("sentence in more than one split", "sentences in more than one split"),
        (Case(f"'{text}' in {' and '.join(sorted(found))}") for text, found in splits_of.items() if len(found) > 1),
        "Usual in acted corpora; a model that knows words may profit, and new sentences may be harder.",
    )


def _speakers(utterances: Sequence[Utterance]) -> set[str]:
    return {utterance.speaker for utterance in utterances if utterance.speaker is not None}
