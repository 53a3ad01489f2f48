"""Run a recipe under a protocol: every fold a run of its own, the tests pooled and scored once."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from concurrent.futures import as_completed
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from emotune.config.lessons import LessonOptions
from emotune.config.recipe import Recipe
from emotune.config.start import OF_FOLD, model_of_fold
from emotune.config.tasks import refuse_task
from emotune.errors import ConfigError
from emotune.evaluation import Evaluation, scores
from emotune.evaluation.earlier_training import EarlierTraining, as_one, earlier_in
from emotune.evaluation.speaker_dependence import speaker_dependence_of_parts
from emotune.inference import load
from emotune.protocols.pool import training_pool
from emotune.protocols.protocol import Fold, Protocol, class_changes, doubts, folds_of, load_protocol, under_protocol
from emotune.report.card_figures import add_evaluation
from emotune.report.score_run import Remarks, score_run
from emotune.report.seen_before import SeenBefore
from emotune.runtime.listener import Listener, WarningsOnce
from emotune.runtime.progress import Progress, silent
from emotune.schema.manifest import Manifest
from emotune.schema.predictions import Predictions
from emotune.schema.run_folder import RunFolder
from emotune.schema.splits import TRAIN
from emotune.training.conditions import enriched
from emotune.training.fine_tune import train_run
from emotune.training.loop.processes import launched_count
from emotune.training.manifest import source_manifest
from emotune.training.pretraining.run import pretrain_run
from emotune.training.probe import baseline_run, probe_run
from emotune.training.run import opened, provenance_of, write_end, write_start

Kind = Literal["train", "probe", "baseline"]
RUNS: Mapping[Kind, Callable[..., Evaluation | dict[str, Evaluation]]] = {
    "train": train_run,
    "probe": probe_run,
    "baseline": baseline_run,
}
"""Runner of each kind, for one fold or without folds."""
POOLED = "all"
"""Where the pooled results of several folds lie."""


def run(
    recipe: Recipe,
    folder: Path,
    *,
    kind: Kind = "train",
    processes: int = 1,
    listener: Listener | None = None,
    progress: Progress = silent,
) -> dict[str, Evaluation]:
    """Runs every fold of ``recipe.protocol`` under ``folder``, and scores all that was tested as one.

    The same command continues after an interruption: finished folds are kept, an unfinished one goes on from its last
    checkpoint.

    Args:
        recipe: with a protocol.
        folder: gets ``manifest.csv``, ``<fold>/`` (a run folder each) and the pooled results: under ``all``, or, where
            there is one fold, under the name of each test split.
        kind: what each fold does.
        processes: folds that run at a time, each with its share of the processor.

    Returns:
        The evaluation of each pooled result, by its name; none of pre-training.

    Raises:
        ConfigError, CorpusError: for a folder or a manifest that does not suit, and as each fold's run does.
    """
    assert recipe.protocol is not None
    if processes < 1:
        raise ConfigError(f"processes must be at least 1, got {processes}.")
    if launched_count() > 1:
        raise ConfigError("A protocol is run by one process, which starts its folds itself: see --folds-at-a-time.")
    if kind != "train":
        refuse_task(recipe, learner=f"A {kind}")
    listener = WarningsOnce(listener or Listener())
    protocol = load_protocol(recipe.protocol)
    run_folder, what = RunFolder(folder), f"{kind}, protocol {protocol.name}"
    with opened(run_folder, recipe, what) as began:
        manifest = under_protocol(source_manifest(recipe, progress=progress), protocol)
        manifest = enriched(manifest, recipe.model.conditions, progress=progress)
        folds = folds_of(protocol, manifest)
        if recipe.pretrains:
            folds = [replace(fold, tests=()) for fold in folds]
        provenance = provenance_of(recipe, manifest, began, kind=what)
        write_start(run_folder, recipe, manifest, provenance, listener)
        if recipe.data.splits:
            listener.say("data.splits of the recipe is set aside: the protocol makes the splits")
        warnings = doubts(protocol, manifest)
        for warning in warnings:
            listener.say(f"warning: {warning}")
        recipes = {fold: _recipe_of(fold, recipe, protocol, run_folder) for fold in folds}
        _run_all(recipes, run_folder, kind, min(processes, len(folds)), listener, progress)
        evaluations = {} if recipe.pretrains else _pooled(run_folder, protocol, folds, warnings)
        write_end(run_folder, provenance)
    return evaluations


def first_fold(recipe: Recipe, *, progress: Progress = silent) -> Recipe:
    """The first fold of a recipe's protocol, as it would be trained."""
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
    backbone = recipe.model.backbone
    own = backbone.checkpoint and backbone.checkpoint.replace(OF_FOLD, fold.name)
    start = recipe.model.start and model_of_fold(recipe.model.start, fold.name)
    adapter, merged = recipe.model.adapter, [model_of_fold(name, fold.name) for name in recipe.model.merged]
    if adapter is not None and merged:
        adapter = adapter.model_copy(update={"models": merged})
    backbone = backbone.model_copy(update={"checkpoint": own})
    model = recipe.model.model_copy(update={"start": start, "backbone": backbone, "adapter": adapter})
    task = recipe.task.of_fold(fold.name) if isinstance(recipe.task, LessonOptions) else recipe.task
    changed = {"data": data, "task": task, "model": model, "protocol": None, "name": f"{recipe.name}/{fold.name}"}
    return recipe.model_copy(update=changed)


def _run_all(
    recipes: Mapping[Fold, Recipe],
    run: RunFolder,
    kind: Kind,
    processes: int,
    listener: WarningsOnce,
    progress: Progress,
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
    with training_pool(processes) as pool:
        told = frozenset(listener.warned)
        jobs = [
            pool.submit(_run_one, recipe, run.path / fold.name, fold, kind, told=told)
            for fold, recipe in waiting.items()
        ]
        for job in progress(as_completed(jobs), total=len(jobs), title="folds"):
            listener.say(job.result())


class _Warnings(Listener):
    """Keeps the new warnings of a fold that runs beside others, for its one answer at the end."""

    def __init__(self, told: Collection[str]) -> None:
        self.lines: list[str] = []
        self.told = told

    def say(self, message: str) -> None:
        if message.startswith("warning:") and message not in self.told:
            self.lines.append(message)


def _run_one(
    recipe: Recipe,
    folder: Path,
    fold: Fold,
    kind: Kind,
    listener: Listener | None = None,
    progress: Progress = silent,
    *,
    told: Collection[str] = (),
) -> str:
    """Trains one fold, predicts and scores its tests, as a baseline does itself; returns a sentence on it."""
    run, collected = RunFolder(folder), _Warnings(told)
    if recipe.pretrains:
        made = pretrain_run(recipe, folder, listener=listener or collected, progress=progress)
        reached = f"{made.metric} {made.score:.3f}, {made.folder}"
        return "\n".join(f"{fold.name}: {line}" for line in [*collected.lines, reached])
    if not run.finished:
        RUNS[kind](recipe, folder, listener=listener or collected, progress=progress)
    manifest = Manifest.read(run.manifest)
    tests = {name: manifest.split(name) for name in fold.tests}
    if kind != "baseline":
        scored = [utterance for tested in tests.values() for utterance in tested]
        predictor = load(folder, batch_seconds=recipe.train.batch_seconds, scored=scored)
        for name, tested in tests.items():
            evaluation = score_run(run, tested, predictor.predict_manifest(tested, progress=progress), name=name)
            add_evaluation(run, name, evaluation)
    figures = []
    for name, tested in tests.items():
        metric = recipe.train.metric
        score = scores(tested, Predictions.read(run.predictions(name))).get(metric)  # None: only votes can be scored
        figures.append(f"{name} {metric} {'undefined' if score is None else format(score, '.3f')}")
    return "\n".join(f"{fold.name}: {line}" for line in [*collected.lines, ", ".join(figures)])


def _is_done(run: RunFolder, fold: Fold) -> bool:
    inner = RunFolder(run.path / fold.name)
    return inner.finished and all((inner.results(name) / "report.html").exists() for name in fold.tests)


@dataclass(frozen=True)
class _Tested:
    """One test split of a fold: the run that was tested, all its utterances, and truth and answers of the split."""

    run: RunFolder
    fold: str
    manifest: Manifest
    truth: Manifest
    answers: Predictions

    @property
    def earlier(self) -> list[EarlierTraining]:
        """Models that the fold learnt from."""
        return earlier_in(self.run.information())


def _tested(run: RunFolder, fold: Fold, name: str) -> _Tested:
    inner = RunFolder(run.path / fold.name)
    manifest = Manifest.read(inner.manifest)
    return _Tested(inner, fold.name, manifest, manifest.split(name), Predictions.read(inner.predictions(name)))


def _pooled(run: RunFolder, protocol: Protocol, folds: list[Fold], warnings: list[str]) -> dict[str, Evaluation]:
    """Tests as they are scored: each test of a single fold by itself, those of several folds as one."""
    about = {"protocol": protocol.name, "protocol in words": protocol.description.strip()}
    if len(folds) > 1:
        parts = [_tested(run, fold, name) for fold in folds for name in fold.tests]
        return {POOLED: _score_together(run, parts, about, warnings)}
    (fold,) = folds
    evaluations = {}
    for name in fold.tests:
        part = _tested(run, fold, name)
        evaluations[name] = score_run(
            part.run,
            part.truth,
            part.answers,
            name=name,
            folder=run.results(name),
            remarks=Remarks(about, notices=warnings),
        )
    return evaluations


def _score_together(run: RunFolder, parts: list[_Tested], about: Mapping[str, str], warnings: list[str]) -> Evaluation:
    """Each utterance predicted by the fold that did not train on it, all scored once."""
    pooled = parts[0].truth.replace_utterances([utterance for part in parts for utterance in part.truth])
    pooled.write(run.manifest)
    rows = tuple(row for part in parts for row in part.answers)
    predictions = Predictions(rows, parts[0].answers.label_space, None, pooled.fingerprint())
    each = {
        f"{part.fold} alone": ", ".join(
            f"{name} {value:.3f}" for name, value in scores(part.truth, part.answers).items() if name != "micro_f1"
        )
        for part in parts
    }
    dependence = speaker_dependence_of_parts((part.manifest.split(TRAIN), part.truth) for part in parts)
    earlier = as_one([(one, part.truth) for part in parts for one in part.earlier])
    remarks = Remarks(
        {**about, **each, "model fingerprint": {part.fold: part.answers.model_fingerprint for part in parts}},
        notices=warnings,
        seen=SeenBefore.of(pooled, dependence, earlier),
    )
    return score_run(run, pooled, predictions, name=POOLED, remarks=remarks)
