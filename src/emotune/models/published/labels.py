"""Classes and dimensions of published models, by the names that they state."""

# pyright: strict, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import re
from collections.abc import Sequence

from emotune.errors import CorpusError
from emotune.models.published.checkpoint_format import PublishedFolder, in_folder
from emotune.schema.labels import LabelSpace, Scale, class_noun

DIMENSIONS = ("arousal", "dominance", "valence")
_NAMELESS = re.compile(r"LABEL_\d+")


def stated_names(folder: PublishedFolder, outputs: int) -> list[str] | None:
    """Names of the outputs by ``id2label`` of the config, in their order; None where it states none.

    Raises:
        ModelError: for one that does not name every output once.
    """
    labels = folder.config.get("id2label")
    if labels is None:
        return None
    is_whole = isinstance(labels, dict) and set(labels) == {str(index) for index in range(outputs)}
    if not is_whole or not all(isinstance(name, str) for name in labels.values()):
        raise in_folder(
            folder, f"id2label of config.json must name the {outputs} outputs of the head, 0 to {outputs - 1}."
        )
    names = [labels[str(index)] for index in range(outputs)]
    return None if all(_NAMELESS.fullmatch(name) for name in names) else names


def stated_classes(folder: PublishedFolder, outputs: int) -> LabelSpace:
    """Label space of classes that the config names; emotion words become our nouns where these stay apart.

    Raises:
        ModelError: where they have no names, or ones that our tables cannot hold, or are no classes.
    """
    problem = folder.config.get("problem_type")
    if problem not in (None, "single_label_classification") or outputs < 2:
        raise in_folder(
            folder,
            f"its head has {outputs} outputs of problem_type {problem!r}, and only classes of which one holds are known"
            " of this format: a scale of numbers is not stated in it.",
        )
    names = stated_names(folder, outputs)
    if names is None:
        raise in_folder(
            folder,
            f"config.json does not name the {outputs} classes (id2label), and an order cannot be guessed. Write the"
            ' names that the model was trained with into it: "id2label": {"0": "angry", ...}.',
        )
    return space_of(folder, names)


def space_of(folder: PublishedFolder, names: Sequence[str]) -> LabelSpace:
    """Label space of classes of these names.

    Raises:
        ModelError: for names that our tables cannot hold.
    """
    nouns = [class_noun(name) for name in names]
    try:
        return LabelSpace(tuple(nouns if len(set(nouns)) == len(nouns) else names))
    except CorpusError as error:
        raise in_folder(folder, f"id2label of config.json: {error}") from error


def expect_names(folder: PublishedFolder, expected: Sequence[str]) -> None:
    """Refuses a config that names the outputs in another order than the format is known to have.

    Raises:
        ModelError: naming both orders.
    """
    found = stated_names(folder, len(expected))
    if found is not None and [class_noun(name) for name in found] != [class_noun(name) for name in expected]:
        raise in_folder(
            folder,
            f"id2label of config.json names the outputs {', '.join(found)}, and this format is known to have"
            f" {', '.join(expected)}. One of the two is wrong, so that no answer could be trusted.",
        )


def dimensions(names: Sequence[str], low: float, high: float) -> dict[str, Scale]:
    """Dimensions that share one scale."""
    return {name: Scale(low, high) for name in names}
