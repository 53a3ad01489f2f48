"""Recordings of pre-training: those of the training split and of folders without labels, all labels taken off."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import Any

from emotune.config.recipe import Recipe
from emotune.corpora.join import joined
from emotune.corpora.unlabelled import read_unlabelled, without_labels
from emotune.errors import CorpusError
from emotune.runtime.progress import Progress, silent
from emotune.schema.manifest import Manifest
from emotune.schema.splits import TRAIN
from emotune.training.manifest import measured, source_manifest, with_splits_chosen, without_overlaps

_SEEN = "that the manifest holds already, in whatever split"


def pretraining_manifest(recipe: Recipe, *, progress: Progress = silent) -> Manifest:
    """Reads the training split of the recipe's manifest, and ``data.unlabelled``; every utterance is of split train.

    No recording of another split is opened, and no label is kept. What a folder holds of the manifest's recordings is
    left out: those of training would come twice, and others are not to be heard.

    Raises:
        CorpusError: for splits that share speakers or recordings, or where there is nothing to hear.
    """
    parts: dict[str, Manifest] = {}
    known = set[str | None]()
    if recipe.data.manifest is not None or recipe.data.corpus is not None:
        source = source_manifest(recipe, progress=progress)
        whole = measured(with_splits_chosen(source, recipe), recipe)
        known = {utterance.content_sha256 for utterance in source}
        name = _name_of(str(source.information.get("corpus", "manifest")), parts)
        parts[name] = without_labels(without_overlaps(whole, recipe).split(TRAIN))
    left_out = dict(next(iter(parts.values())).information.get("left_out", {})) if parts else {}
    for folder in recipe.data.unlabelled:
        found = measured(read_unlabelled(folder, progress=progress), recipe)
        new = found.replace_utterances([u for u in found if u.content_sha256 not in known])
        known |= {utterance.content_sha256 for utterance in new}
        if len(new) < len(found):
            left_out[f"of {folder.name} {_SEEN}"] = len(found) - len(new)
        parts[_name_of(folder.stem, parts)] = new
    heard = {name: part for name, part in parts.items() if len(part)}
    if not heard:
        raise CorpusError("data: nothing is left to hear: every recording of data.unlabelled is in the manifest.")
    manifest = next(iter(heard.values())) if len(heard) == 1 else joined(heard, classes="all")
    return _of_training(manifest, left_out)


def _of_training(manifest: Manifest, left_out: Mapping[str, int]) -> Manifest:
    information: dict[str, Any] = {**manifest.information, "left_out": left_out}
    information.pop("class_mapping", None)
    utterances = [dataclasses.replace(utterance, split=TRAIN) for utterance in manifest]
    return dataclasses.replace(manifest.replace_utterances(utterances), information=information)


def _name_of(text: str, taken: Sequence[str] | Mapping[str, Any]) -> str:
    """A corpus's name of letters that a join takes, unlike those that are taken."""
    plain = re.sub(r"[^\w.+-]+", "_", text) or "recordings"
    names = [plain, *(f"{plain}_{number}" for number in range(2, len(taken) + 2))]
    return next(name for name in names if name not in taken)
