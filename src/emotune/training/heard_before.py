"""Speakers that models were trained on which a recipe goes on from or merges, read from their run folders."""

from __future__ import annotations

from emotune.config.recipe import Recipe
from emotune.config.start import has_folds
from emotune.evaluation.earlier_training import EarlierTraining
from emotune.models.folder import find_model_folder
from emotune.schema.manifest import Manifest
from emotune.schema.run_folder import run_around
from emotune.schema.splits import DEVELOPMENT, TEST, TRAIN
from emotune.training.teacher import model_name


def earlier_training(recipe: Recipe) -> EarlierTraining | None:
    """Speakers that the models heard that a recipe goes on from or merges, and those before them; None without any.

    Raises:
        ModelError: for a folder that is damaged or not there.
    """
    start = recipe.model.start
    named = {} if start is None else {start: recipe.model.encoder}
    named |= {name: model_name(name) for name in recipe.model.merged}
    if recipe.protocol is not None:  # of models of one fold each the fold's own run tells
        named = {name: called for name, called in named.items() if not has_folds(name)}
    if not named:
        return None
    found = [_training_of(name, called) for name, called in named.items()]
    speakers = frozenset[tuple[str | None, str]]().union(*(own.speakers for own in found))
    return EarlierTraining(" and ".join(named.values()), speakers, all(own.complete for own in found))


def _training_of(name: str, called: str) -> EarlierTraining:
    folder = find_model_folder(name).folder
    run = run_around(folder)
    if run is None or folder.name != run.model.name:
        return EarlierTraining(called, frozenset(), complete=False)
    trained_on = Manifest.read(run.manifest).filter(lambda utterance: utterance.split == TRAIN)
    speakers = {(u.corpus, u.speaker) for u in trained_on if u.speaker is not None}
    complete = all(u.speaker is not None for u in trained_on)
    before = EarlierTraining.of_run(run.information())
    if before is not None:
        speakers, complete = speakers | before.speakers, complete and before.complete
    return EarlierTraining(called, frozenset(speakers), complete)


def warnings_of_start(earlier: EarlierTraining, manifest: Manifest) -> list[str]:
    """Says before the work which held-out speakers the model heard that training goes on from."""
    found = [
        sentence
        for split in (DEVELOPMENT, TEST)
        for sentence in earlier.notices(manifest.filter(lambda u, own=split: u.split == own), f"the split {split}")
    ]
    return list(dict.fromkeys(found))
