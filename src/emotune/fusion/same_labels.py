"""The labelled utterances that several runs share: only on these can they be compared or fused."""

from __future__ import annotations

from collections.abc import Sequence

from emotune.errors import ConfigError
from emotune.schema.manifest import Manifest

Label = tuple[str | None, tuple[tuple[str, float], ...], str | None]
"""Class, dimensions and speaker."""


def same_labelled(
    named: Sequence[tuple[str, Manifest]], *, classes: bool, dimensions: bool, where: str, cure: str
) -> Manifest:
    """The utterances with a label, which must be the same, with the same labels and speakers, for all runs.

    Only what is asked for counts as a label. Other utterances may differ: a run that learns from votes without a
    consensus, or from another task as well, has more of them.

    Args:
        named: what each run is called, and its utterances; the first one's are returned.
        classes: whether the class is a label.
        dimensions: whether dimensions are.
        where: the split, for messages.
        cure: what to do where they differ.

    Raises:
        ConfigError: when two runs differ, with an example.
    """
    (first, manifest), *others = named
    ours = _labels(manifest, classes=classes, dimensions=dimensions)
    for name, other in others:
        theirs = _labels(other, classes=classes, dimensions=dimensions)
        spaces = {tuple(sorted(one.label_space.classes)) for one in (manifest, other)} if classes else {()}
        if ours != theirs or (ours and len(spaces) > 1):
            raise ConfigError(
                f"{first} and {name} have different utterances or labels in {where}: {_example(ours, theirs)}. {cure}"
            )
    return manifest.filter(lambda utterance: utterance.utterance_id in ours)


def _labels(manifest: Manifest, *, classes: bool, dimensions: bool) -> dict[str, Label]:
    found = {}
    for utterance in manifest:
        emotion = utterance.emotion if classes else None
        values = tuple(sorted(utterance.dimensions.items())) if dimensions else ()
        if emotion is not None or values:
            found[utterance.utterance_id] = (emotion, values, utterance.speaker)
    return found


def _example(ours: dict[str, Label], theirs: dict[str, Label]) -> str:
    alone = sorted(ours.keys() ^ theirs.keys())
    if alone:
        return f"{len(alone)} are labelled in one of them alone, such as {alone[0]}"
    other = [key for key, label in ours.items() if theirs[key] != label]
    return f"{len(other)} have another label or speaker, such as {other[0]}" if other else "their classes differ"
