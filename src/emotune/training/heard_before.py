"""Speakers that the model of ``model.start`` was trained on, read from its run folder where it lies in one."""

from __future__ import annotations

from emotune.config.recipe import Recipe
from emotune.evaluation.earlier_training import EarlierTraining
from emotune.models.folder import find_model_folder
from emotune.schema.manifest import Manifest
from emotune.schema.run_folder import run_around
from emotune.schema.splits import DEVELOPMENT, TEST, TRAIN


def earlier_training(recipe: Recipe) -> EarlierTraining | None:
    """Speakers that the model heard that a recipe goes on from, and the models before it; None without one.

    Raises:
        ModelError: for a folder that is damaged or not there.
    """
    if recipe.model.start is None:
        return None
    name, folder = recipe.model.encoder, find_model_folder(recipe.model.start).folder
    run = run_around(folder)
    if run is None or folder.name != run.model.name:
        return EarlierTraining(name, frozenset(), complete=False)
    trained_on = Manifest.read(run.manifest).filter(lambda utterance: utterance.split == TRAIN)
    speakers = {(u.corpus, u.speaker) for u in trained_on if u.speaker is not None}
    complete = all(u.speaker is not None for u in trained_on)
    before = EarlierTraining.of_run(run.information())
    if before is not None:
        speakers, complete = speakers | before.speakers, complete and before.complete
    return EarlierTraining(name, frozenset(speakers), complete)


def warnings_of_start(earlier: EarlierTraining, manifest: Manifest) -> list[str]:
    """Says before the work which held-out speakers the model heard that training goes on from."""
    found = [
        sentence
        for split in (DEVELOPMENT, TEST)
        for sentence in earlier.notices(manifest.filter(lambda u, own=split: u.split == own), f"the split {split}")
    ]
    return list(dict.fromkeys(found))
