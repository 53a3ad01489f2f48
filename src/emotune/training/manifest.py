"""From a recipe's data section to the manifest that is learnt from, in named steps."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence

from emotune.config.data import VotesSection
from emotune.config.recipe import Recipe
from emotune.corpora import CORPORA, ReadingOptions, map_classes, read_corpus
from emotune.doctor import refuse_overlaps
from emotune.errors import ConfigError, CorpusError
from emotune.runtime.progress import Progress, silent
from emotune.schema.gender import GENDER, gender_as_class
from emotune.schema.manifest import Manifest
from emotune.schema.splits import TRAIN, select_splits, within_budget
from emotune.schema.utterance import Utterance
from emotune.training.conditions import enriched
from emotune.training.lesson import hears_unlabelled
from emotune.training.unlabelled import with_unlabelled
from emotune.votes.consensus import relabelled, vote_shares


def build_manifest(recipe: Recipe, *, progress: Progress = silent) -> Manifest:
    """Reads the data section and takes the ``STEPS``; its information counts what each step left out.

    What is in ``data.unlabelled`` comes last, beside all that: no step takes anything from it.

    Raises:
        CorpusError: when splits share speakers or recordings and the recipe does not allow it.
    """
    if recipe.protocol is not None:
        raise ConfigError("A recipe with a protocol is run by `emotune train`, `probe` or `baseline`, fold by fold.")
    if recipe.task is not None and recipe.pretrains:
        raise ConfigError(
            f"Task {recipe.task.name} is pre-training, which goes with `emotune train`, and not with this."
        )
    manifest = source = source_manifest(recipe, progress=progress)
    left_out: dict[str, int] = {}
    for step, reason in STEPS:
        before = len(manifest)
        manifest = step(manifest, recipe)
        if reason is not None and before > len(manifest):
            left_out[reason] = before - len(manifest)
    manifest = dataclasses.replace(manifest, information={**manifest.information, "left_out": left_out})
    if recipe.data.unlabelled:
        manifest = with_unlabelled(manifest, recipe.data.unlabelled, whole=source, progress=progress)
    return enriched(manifest, recipe.model.conditions, progress=progress)


def source_manifest(recipe: Recipe, *, progress: Progress = silent) -> Manifest:
    """The manifest or corpus that a recipe names, as it is."""
    data = recipe.data
    if data.manifest is not None:
        return Manifest.read(data.manifest)
    assert data.corpus is not None and data.root is not None
    return read_corpus(CORPORA[data.corpus], data.root, ReadingOptions(labels=data.labels), progress=progress)


def with_classes_mapped(manifest: Manifest, recipe: Recipe) -> Manifest:
    """Renames and drops classes by ``data.map`` and ``data.drop``."""
    data = recipe.data
    return map_classes(manifest, data.map, data.drop)[0] if data.map or data.drop else manifest


def with_splits_chosen(manifest: Manifest, recipe: Recipe) -> Manifest:
    """Keeps what a rule of ``data.splits`` selects."""
    return select_splits(manifest, recipe.data.splits) if recipe.data.splits else manifest


def with_target_as_class(manifest: Manifest, recipe: Recipe) -> Manifest:
    """Puts the speaker's gender in the place of the emotion, for ``data.target: gender``."""
    return gender_as_class(manifest) if recipe.data.target == GENDER else manifest


def with_labels_of_votes(manifest: Manifest, recipe: Recipe) -> Manifest:
    """Makes labels of the annotators' votes by ``data.votes``."""
    votes = recipe.data.votes
    return manifest if votes == VotesSection() else relabelled(manifest, **votes.model_dump())[0]


def labelled(manifest: Manifest, recipe: Recipe) -> Manifest:
    """Keeps the utterances with something to learn; a task that hears unlabelled ones has it of any for training.

    Raises:
        CorpusError: when there are none, or the manifest lacks the classes or dimensions that are asked for.
    """
    data, classes = recipe.data, manifest.label_space.classes
    unknown = [name for name in data.dimensions if name not in manifest.label_space.dimensions]
    if unknown:
        known = ", ".join(manifest.label_space.dimensions) or "none"
        raise CorpusError(
            f"data.dimensions: {', '.join(unknown)} not in the manifest, which has {known}. A table's column becomes a"
            " dimension with `emotune corpus read table ... --scale NAME=LOW:HIGH`."
        )
    if data.classes and not classes:
        raise CorpusError(f"The manifest has no emotion classes. {_learnable(manifest)}")
    for_votes = data.classes and data.votes.no_agreement == "votes"
    kept = manifest.filter(
        lambda u: (
            (data.classes and u.emotion is not None)
            or any(name in u.dimensions for name in data.dimensions)
            or (for_votes and _has_votes(u, classes))
            or (hears_unlabelled(recipe) and u.split == TRAIN)
        )
    )
    if not len(kept):
        raise CorpusError(f"No utterance of the manifest has a label to learn. {_learnable(manifest)}")
    return kept


def measured(manifest: Manifest, recipe: Recipe) -> Manifest:
    """Refuses utterances whose length or content nobody has looked at.

    Raises:
        CorpusError: naming the first of them.
    """
    unknown = [u.utterance_id for u in manifest if u.duration_s is None or u.content_sha256 is None]
    if unknown:
        raise CorpusError(
            f"{unknown[0]} has no duration_s or no content_sha256; read the corpus again with `emotune corpus read`."
        )
    return manifest


def within_data_budget(manifest: Manifest, recipe: Recipe) -> Manifest:
    """Keeps the part of the training split that ``data.budget`` or ``data.budget_hours`` allows.

    Where unlabelled ones are heard, all of it is kept, and those beyond the budget lose their labels.

    Raises:
        CorpusError: for a corpus that the split does not have, more hours than it has, or nothing left of it.
    """
    data = recipe.data
    if data.budget is None and data.budget_hours is None:
        return manifest
    kept = within_budget(
        manifest, data.budget, hours=data.budget_hours, corpora=data.budget_corpora, split=TRAIN, seed=recipe.seed
    )
    if not any(utterance.split == TRAIN for utterance in kept):
        raise CorpusError("data.budget_hours leaves nothing to train on; give more hours, or name budget_corpora.")
    if not hears_unlabelled(recipe):
        return kept
    within = {utterance.utterance_id for utterance in kept}
    return manifest.replace_utterances([u if u.utterance_id in within else u.without_labels() for u in manifest])


def without_overlaps(manifest: Manifest, recipe: Recipe) -> Manifest:
    """Refuses splits that share speakers or recordings, unless ``data.allow`` names what they share.

    Raises:
        CorpusError: naming what is shared.
    """
    refuse_overlaps(manifest, allow=recipe.data.allow)
    return manifest


STEPS: Sequence[tuple[Callable[[Manifest, Recipe], Manifest], str | None]] = (
    (with_classes_mapped, None),
    (with_splits_chosen, "that no rule of data.splits selects"),
    (with_target_as_class, None),
    (with_labels_of_votes, None),
    (labelled, "without a label to learn"),
    (measured, None),
    (within_data_budget, "beyond data.budget"),
    (without_overlaps, None),
)
"""What is done to a manifest, in this order, each with what is counted of the utterances that it leaves out."""


def without_votes(manifest: Manifest, classes: Sequence[str]) -> int:
    """Counts the utterances that have no vote for any of the classes."""
    return sum(not _has_votes(utterance, classes) for utterance in manifest)


def _has_votes(utterance: Utterance, classes: Sequence[str]) -> bool:
    return math.isfinite(sum(vote_shares(utterance.votes, classes)))


def _learnable(manifest: Manifest) -> str:
    """Settings with which a manifest's labels could be learnt."""
    cures = []
    if valued := [name for name in manifest.label_space.dimensions if any(name in u.dimensions for u in manifest)]:
        cures.append(
            f"Learn its dimensions alone with data.classes=false data.dimensions=[{','.join(valued)}] train.metric=ccc."
        )
    if any(utterance.votes for utterance in manifest):
        cures.append("Learn the class with the most votes with data.votes.label=plurality.")
    return " ".join(cures) or (
        "Nor has it dimensions or votes: read the corpus again with a column of labels, see"
        " `emotune corpus read --help`."
    )
