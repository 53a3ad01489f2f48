"""One run of a study: trained, then each test predicted and scored; what fails is written down."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import TypeAlias

from emotune.config.recipe import Recipe
from emotune.errors import EmotuneError
from emotune.evaluation import scores
from emotune.inference import load
from emotune.io.tables import write_text
from emotune.protocols.run import RUNS
from emotune.protocols.run import run as run_protocol
from emotune.report.score_run import score_run
from emotune.runtime.listener import Listener
from emotune.runtime.progress import Progress, silent
from emotune.schema.manifest import Manifest
from emotune.schema.predictions import Predictions
from emotune.schema.run_folder import RunFolder
from emotune.schema.splits import select_splits
from emotune.studies.study_run import StudyRun, is_scored, tested_manifest
from emotune.training.manifest import source_manifest
from emotune.training.pretraining.run import pretrain_run

Runner: TypeAlias = Callable[[StudyRun, Listener, Progress], object]
"""Leaves in a run's folder what training and scoring leave; its answer is what to say of it."""


def attempt(run: StudyRun, run_one: Runner, listener: Listener | None = None, progress: Progress = silent) -> str:
    """Carries a run out, or writes the reason of a failure beside its folder; returns a sentence on it."""
    try:
        said = run_one(run, listener or Listener(), progress)
    except Exception as error:  # whatever it is, the other runs go on
        understood = isinstance(error, EmotuneError | OSError)
        write_text(run.fault, f"{error}\n" if understood else traceback.format_exc())
        return f"{run.title}: failed: {error if understood else repr(error)}"
    run.fault.unlink(missing_ok=True)
    return f"{run.title}: {said}"


def carry_out(run: StudyRun, listener: Listener, progress: Progress) -> str:
    """Train, then predict and score each test; in words what was reached."""
    own = RunFolder(run.folder)
    if run.recipe.pretrains and run.recipe.protocol is None:
        made = pretrain_run(run.recipe, run.folder, listener=listener, progress=progress)
        return f"{made.metric} {made.score:.3f} on recordings held out, {made.parameters:,} parameters"
    if run.recipe.protocol is not None:
        if not own.finished:
            run_protocol(run.recipe, run.folder, kind=run.kind, listener=listener, progress=progress)
    else:
        if not own.finished:
            RUNS[run.kind](run.recipe, run.folder, listener=listener, progress=progress)
        score_tests(run, own, progress)
    return ", ".join(_reached(own, name, run.recipe.train.metric) for name in run.results) or "pre-trained"


def score_tests(run: StudyRun, own: RunFolder, progress: Progress) -> None:
    """Predicts each test that has no results yet, and scores those with labels."""
    manifest = Manifest.read(own.manifest)
    labelled = {utterance.split for utterance in manifest}
    left = [name for name in run.results if not is_scored(own, name)]
    if not left:  # as of a baseline, which scores its tests itself and keeps no model
        return
    tests = {name: (manifest if name in labelled else source_of(run.recipe)).split(name) for name in left}
    tested = [utterance for test in tests.values() for utterance in test]
    predictor = load(run.folder, batch_seconds=run.recipe.train.batch_seconds, scored=tested)
    for name, test in tests.items():
        predictions = predictor.predict_manifest(test, progress=progress)
        if name in labelled:
            score_run(own, test, predictions, name=name)
        else:
            predictions.write(own.predictions(name))


def source_of(recipe: Recipe) -> Manifest:
    """All utterances that a recipe names, those without a label to learn too, in its splits."""
    manifest = source_manifest(recipe)
    return select_splits(manifest, recipe.data.splits) if recipe.data.splits else manifest


def _reached(run: RunFolder, name: str, metric: str) -> str:
    if not (run.results(name) / "report.html").exists():
        return f"{name} predicted"
    truth = tested_manifest(run, name)
    score = scores(truth, Predictions.read(run.predictions(name))).get(metric, float("nan"))
    return f"{name} {metric} {score:.3f}"
