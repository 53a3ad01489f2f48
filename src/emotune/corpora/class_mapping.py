"""Classes renamed, merged and left out, every change counted."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Collection, Mapping, Sequence

from emotune.errors import CorpusError
from emotune.schema.labels import LabelSpace, class_noun, in_class_order
from emotune.schema.manifest import Manifest
from emotune.schema.utterance import Utterance
from emotune.votes.secondary import with_secondary_changed


def map_classes(
    manifest: Manifest, mapping: Mapping[str, str], drop: Sequence[str] = ()
) -> tuple[Manifest, dict[str, int]]:
    """Renames and drops classes; the report counts every change: ``{"calm -> neutral": 192, "surprise dropped": 192}``.

    Raises:
        CorpusError: when a class to map or drop does not occur in the manifest.
    """
    utterances, classes, report = mapped(manifest.utterances, manifest.label_space.classes, mapping, drop)
    earlier = manifest.information.get("class_mapping", {})
    result = dataclasses.replace(
        manifest,
        utterances=tuple(utterances),
        label_space=LabelSpace(classes, manifest.label_space.dimensions),
        information={**manifest.information, "class_mapping": {**earlier, **report}},
    )
    return result, report


def mapped(
    utterances: Sequence[Utterance], classes: Sequence[str], mapping: Mapping[str, str], drop: Sequence[str]
) -> tuple[list[Utterance], tuple[str, ...], dict[str, int]]:
    """Renames and drops classes of utterances outside a manifest; gives these, their classes and the report.

    A class may be given in the spelling of the user's own table, such as Wut for what was read as anger.

    Raises:
        CorpusError: when a class to map or drop does not occur.
    """
    voted = {name for utterance in utterances for name in utterance.votes}
    known = {*classes, *voted}
    mapping = {_as_read(name, known): target for name, target in mapping.items()}
    drop = [_as_read(name, known) for name in drop]
    unknown = [name for name in [*mapping, *drop] if name not in known]
    if unknown:
        raise CorpusError(
            f"Classes to map or drop that the manifest does not have: {', '.join(unknown)}."
            f" It has: {', '.join(classes)}."
        )
    report: Counter[str] = Counter()
    for name in [*mapping, *drop]:
        if name not in classes:  # no label, but votes
            change = f"-> {mapping[name]}" if name in mapping else "dropped"
            report[f"votes for {name} {change}"] = sum(bool(utterance.votes.get(name)) for utterance in utterances)
    kept = []
    for utterance in utterances:
        emotion = utterance.emotion or ""
        if emotion in drop:
            report[f"{emotion} dropped"] += 1
            continue
        if emotion in mapping:
            report[f"{emotion} -> {mapping[emotion]}"] += 1
        kept.append(
            dataclasses.replace(
                utterance,
                emotion=mapping.get(emotion, utterance.emotion),
                votes=_merged(utterance.votes, mapping, drop),
                extra=with_secondary_changed(
                    utterance.extra, lambda votes: _merged(votes, mapping, drop), utterance.utterance_id
                ),
            )
        )
    return kept, in_class_order(mapping.get(name, name) for name in classes if name not in drop), dict(report)


def _as_read(name: str, known: Collection[str]) -> str:
    """The class that a word of the table became, where there is one."""
    return class_noun(name) if name not in known and class_noun(name) in known else name


def _merged(votes: Mapping[str, float], mapping: Mapping[str, str], drop: Sequence[str]) -> dict[str, float]:
    merged: Counter[str] = Counter()
    for name, count in votes.items():
        if name in drop:
            continue
        merged[mapping.get(name, name)] += count  # pyright: ignore[reportArgumentType]
    return dict(merged)
