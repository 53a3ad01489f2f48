"""Run a recipe under a protocol: every fold a run of its own, the tests pooled and scored once."""

from __future__ import annotations

import dataclasses
import multiprocessing
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from itertools import chain
from pathlib import Path
from typing import Literal

import torch

from emotune.config import Recipe
from emotune.errors import ConfigError
from emotune.evaluation import Evaluation, scores
from emotune.evaluation.score_run import score_run
from emotune.evaluation.speaker_dependence import SpeakerDependence, speaker_dependence
from emotune.inference import load
from emotune.inference.workers import usable_cores
from emotune.manifest import Manifest
from emotune.predictions import Predictions
from emotune.progress import Progress, silent
from emotune.run_folder import RunFolder
from emotune.studies.protocol import (
    TRAIN,
    Fold,
    Protocol,
    class_changes,
    doubts,
    folds_of,
    load_protocol,
    under_protocol,
)
from emotune.training.build import source_manifest
from emotune.training.fine_tune import train_run
from emotune.training.probe import probe_run
from emotune.training.processes import launched_count
from emotune.training.run import Listener, Quiet, opened, provenance_of, write_end, write_start

Kind = Literal["train", "probe"]
_RUNS: Mapping[Kind, Callable[..., Evaluation]] = {"train": train_run, "probe": probe_run}
POOLED = "all"
"""Where the pooled results of several folds lie."""


def protocol_run(
    recipe: Recipe,
    folder: Path,
    *,
    kind: Kind,
    processes: int = 1,
    listener: Listener | None = None,
    progress: Progress = silent,
) -> dict[str, Evaluation]:
    """Run every fold of ``recipe.protocol`` under ``folder``, and score all that was tested as one.

    The same command continues after an interruption: finished folds are kept, an unfinished one goes on from its last
    checkpoint.

    Args:
        recipe: with a protocol.
        folder: gets ``manifest.csv``, ``<fold>/`` (a run folder each) and the pooled results: under ``all``, or, where
            there is one fold, under the name of each test split.
        kind: what each fold does.
        processes: folds that run at a time, each with its share of the processor.

    Returns:
        The evaluation of each pooled result, by its name.

    Raises:
        ConfigError, CorpusError: for a folder or a manifest that does not suit, and as each fold's run does.
    """
    assert recipe.protocol is not None
    if processes < 1:
        raise ConfigError(f"processes must be at least 1, got {processes}.")
    if launched_count() > 1:
        raise ConfigError("A protocol is run by one process, which starts its folds itself: see --folds-at-a-time.")
    listener = listener or Quiet()
    protocol = load_protocol(recipe.protocol)
    run, what = RunFolder(folder), f"{kind}, protocol {protocol.name}"
    with opened(run, recipe, what) as began:
        manifest = under_protocol(source_manifest(recipe, progress=progress), protocol)
        folds = folds_of(protocol, manifest)
        provenance = provenance_of(recipe, manifest, began, kind=what)
        write_start(run, recipe, manifest, provenance, listener)
        if recipe.data.splits:
            listener.say("data.splits of the recipe is set aside: the protocol makes the splits")
        warnings = doubts(protocol, manifest)
        for warning in warnings:
            listener.say(f"warning: {warning}")
        recipes = {fold: _recipe_of(fold, recipe, protocol, run) for fold in folds}
        _run_all(recipes, run, kind, min(processes, len(folds)), listener, progress)
        evaluations = _pooled(run, protocol, folds, warnings)
        write_end(run, provenance)
    return evaluations


def first_fold(recipe: Recipe, *, progress: Progress = silent) -> Recipe:
    """What the first fold of a recipe's protocol trains, for looking at it."""
    assert recipe.protocol is not None
    protocol, source = load_protocol(recipe.protocol), source_manifest(recipe, progress=progress)
    fold = folds_of(protocol, under_protocol(source, protocol))[0]
    mapping, drop = class_changes(protocol, source)
    return _under(recipe, protocol, fold, {"map": {**mapping, **recipe.data.map}, "drop": [*drop, *recipe.data.drop]})


def _recipe_of(fold: Fold, recipe: Recipe, protocol: Protocol, run: RunFolder) -> Recipe:
    """The recipe of one fold, which reads the manifest that lies in the folder of all."""
    return _under(recipe, protocol, fold, {"manifest": run.manifest, "corpus": None, "root": None, "labels": None})


def _under(recipe: Recipe, protocol: Protocol, fold: Fold, source: Mapping[str, object]) -> Recipe:
    splits = {name: {column: list(values) for column, values in rule.items()} for name, rule in fold.splits.items()}
    allow = sorted({*recipe.data.allow, *protocol.allow})
    data = recipe.data.model_copy(update={**source, "splits": splits, "allow": allow})
    return recipe.model_copy(update={"data": data, "protocol": None, "name": f"{recipe.name}/{fold.name}"})


def _run_all(
    recipes: Mapping[Fold, Recipe], run: RunFolder, kind: Kind, processes: int, listener: Listener, progress: Progress
) -> None:
    waiting = {fold: recipe for fold, recipe in recipes.items() if not _is_done(run, fold)}
    for fold in recipes:
        if fold not in waiting:
            listener.say(f"{fold.name}: done before")
    if processes == 1:
        for fold, recipe in waiting.items():
            listener.say(f"{fold.name}:")
            listener.say(_run_one(recipe, run.path / fold.name, fold, kind, listener, progress))
        return
    threads = max(1, usable_cores() // processes)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(
        processes, mp_context=context, initializer=torch.set_num_threads, initargs=(threads,)
    ) as pool:
        jobs = {
            pool.submit(_run_one, recipe, run.path / fold.name, fold, kind): fold for fold, recipe in waiting.items()
        }
        try:
            for job in progress(as_completed(jobs), total=len(jobs), title="folds"):
                listener.say(job.result())
        except BaseException:  # what has begun ends; what has not is for the same command again
            pool.shutdown(wait=False, cancel_futures=True)
            raise


class _Warnings(Quiet):
    """Keeps the warnings of a fold that runs beside others, for its one answer at the end."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, message: str) -> None:
        if message.startswith("warning:"):
            self.lines.append(message)


def _run_one(
    recipe: Recipe,
    folder: Path,
    fold: Fold,
    kind: Kind,
    listener: Listener | None = None,
    progress: Progress = silent,
) -> str:
    """Train one fold, predict and score its tests; what to say of it."""
    run, collected = RunFolder(folder), _Warnings()
    if not run.finished:
        _RUNS[kind](recipe, folder, listener=listener or collected, progress=progress)
    manifest = Manifest.read(run.manifest)
    predictor = load(folder, batch_seconds=recipe.train.batch_seconds)
    figures = []
    for name in fold.tests:
        tested = manifest.split(name)
        predictions = predictor.predict_manifest(tested, progress=progress)
        evaluation = score_run(run, tested, predictions, name=name)
        metric = recipe.train.metric
        score = evaluation.overall.get(metric)  # None where only votes can be scored
        figures.append(f"{name} {metric} {'undefined' if score is None else format(score.value, '.3f')}")
    return "\n".join(f"{fold.name}: {line}" for line in [*collected.lines, ", ".join(figures)])


def _is_done(run: RunFolder, fold: Fold) -> bool:
    inner = RunFolder(run.path / fold.name)
    return inner.finished and all((inner.results(name) / "report.html").exists() for name in fold.tests)


def _pooled(run: RunFolder, protocol: Protocol, folds: list[Fold], warnings: list[str]) -> dict[str, Evaluation]:
    """The tests of all folds as one, each utterance predicted by the fold that did not train on it."""
    inner = {fold: RunFolder(run.path / fold.name) for fold in folds}
    about = {"protocol": protocol.name, "protocol in words": protocol.description.strip()}
    if len(folds) == 1:
        (fold,) = folds
        manifest = Manifest.read(inner[fold].manifest)
        return {
            name: score_run(
                inner[fold],
                manifest.split(name),
                Predictions.read(inner[fold].results(name) / "predictions.csv"),
                name=name,
                folder=run.results(name),
                extra=about,
                notices=warnings,
            )
            for name in fold.tests
        }
    manifests = {fold: Manifest.read(inner[fold].manifest) for fold in folds}
    tested = {fold: manifests[fold].split(fold.tests[0]) for fold in folds}
    answers = {fold: Predictions.read(inner[fold].results(fold.tests[0]) / "predictions.csv") for fold in folds}
    first = tested[folds[0]]
    pooled = dataclasses.replace(first, utterances=tuple(chain(*tested.values())))
    pooled.write(run.manifest)
    predictions = Predictions(
        tuple(chain(*answers.values())), answers[folds[0]].label_space, None, pooled.fingerprint()
    )
    each = {
        f"{fold.name} alone": ", ".join(
            f"{name} {value:.3f}" for name, value in scores(tested[fold], answers[fold]).items() if name != "micro_f1"
        )
        for fold in folds
    }
    evaluation = score_run(
        run,
        pooled,
        predictions,
        name=POOLED,
        held_out=True,
        dependence=_dependence(manifests, tested),
        extra={**about, **each},
        notices=warnings,
    )
    return {POOLED: evaluation}


def _dependence(manifests: Mapping[Fold, Manifest], tested: Mapping[Fold, Manifest]) -> SpeakerDependence:
    """How many of all tested speakers the fold that tested them was trained on."""
    each = [speaker_dependence(manifests[fold].split(TRAIN), tested[fold]) for fold in manifests]
    return SpeakerDependence(
        sum(item.shared for item in each), sum(item.scored for item in each), all(item.all_known for item in each)
    )
