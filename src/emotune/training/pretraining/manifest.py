"""Recordings of pre-training: those of the training split and those without labels, all labels taken off."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from emotune.config.recipe import Recipe
from emotune.corpora.unlabelled import without_labels
from emotune.errors import CorpusError
from emotune.runtime.progress import Progress, silent
from emotune.schema.manifest import Manifest
from emotune.schema.splits import TRAIN, held_out
from emotune.training.heard_before import EarlierModel, refuse_heard
from emotune.training.manifest import measured, source_manifest, with_splits_chosen, without_overlaps
from emotune.training.unlabelled import with_unlabelled


def pretraining_manifest(
    recipe: Recipe, *, earlier: Sequence[EarlierModel] = (), progress: Progress = silent
) -> Manifest:
    """Reads the training split of the recipe's manifest, and ``data.unlabelled``; every utterance is of split train.

    No recording of another split is opened, and no label is kept. ``earlier`` are the models that are learnt from.

    Raises:
        CorpusError: for splits that share speakers or recordings, models that have heard of others than training, or
            where there is nothing to hear.
    """
    train = source = None
    if recipe.data.manifest is not None or recipe.data.corpus is not None:
        source = source_manifest(recipe, progress=progress)
        chosen = measured(with_splits_chosen(source, recipe), recipe)
        refuse_heard(earlier, held_out(chosen), allow=recipe.data.allow)
        train = without_labels(without_overlaps(chosen, recipe).split(TRAIN))
    manifest = with_unlabelled(train, recipe.data.unlabelled, whole=source, progress=progress)
    if not len(manifest):
        raise CorpusError("data.unlabelled: every recording is in the manifest already, so nothing is left to hear.")
    of_labels = ("class_mapping", "joined_classes", "consensus")
    information = {name: value for name, value in manifest.information.items() if name not in of_labels}
    return dataclasses.replace(manifest, information=information)
