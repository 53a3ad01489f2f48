"""Run a study: what is missing is trained, what was begun goes on, what fails is noted and the others go on."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml
from pydantic import ValidationError

from emotune.config.recipe import Recipe
from emotune.errors import ConfigError, CorpusError, EmotuneError, ModelError
from emotune.evaluation import scores
from emotune.inference import load
from emotune.io.locks import alone_in
from emotune.io.tables import write_text
from emotune.protocols.folds import POOLED, Kind, protocol_run
from emotune.protocols.pool import training_pool
from emotune.report.score_run import score_run
from emotune.runtime.listener import Listener
from emotune.runtime.progress import Progress, silent
from emotune.schema.manifest import Manifest
from emotune.schema.predictions import Predictions
from emotune.schema.run_folder import RunFolder
from emotune.schema.splits import DEVELOPMENT, select_splits
from emotune.studies.choices import Choice, best_of, kept_choices, write_choices
from emotune.studies.plan import Plan, chosen_metric, dump_study, results_of, run_folder_of
from emotune.training.fine_tune import train_run
from emotune.training.loop.processes import launched_count
from emotune.training.manifest import source_manifest
from emotune.training.probe import probe_run
from emotune.training.recipe_changes import changes_of_finished_work, changes_of_work


@dataclass(frozen=True, eq=False)
class StudyRun:
    """One step with one seed, in ``folder``; ``results`` are the names that its scored or predicted parts lie under."""

    step: str
    seed: int
    folder: Path
    recipe: Recipe
    kind: Kind
    results: tuple[str, ...]

    @property
    def title(self) -> str:
        return f"{self.step}, seed {self.seed}"

    @property
    def fault(self) -> Path:
        """Why the run failed the last time; no such file where it did not."""
        return self.folder.with_name(f"{self.folder.name}.error.txt")

    @property
    def error(self) -> str | None:
        """Why it failed, None where it did not; of a fault that nobody foresaw the last line of the traceback."""
        if not self.fault.exists():
            return None
        said = self.fault.read_text(encoding="utf-8").strip()
        return said.splitlines()[-1] if said.startswith("Traceback") else said

    @property
    def finished(self) -> bool:
        """Whether it is trained, and everything that is to be scored has been."""
        run = RunFolder(self.folder)
        return run.finished and all(_is_scored(run, name) for name in self.results)

    @property
    def has_folds(self) -> bool:
        """Whether several folds each trained a model, whose tests are pooled."""
        return self.recipe.protocol is not None and self.results == (POOLED,)

    def development_score(self, metric: str) -> float:
        """On the development split, a mean over folds where there are several; NaN where it cannot be had."""
        return float(np.mean(list(self.development_scores(metric).values())))

    def development_scores(self, metric: str) -> dict[str, float]:
        """The development score of each fold, by its folder's name; of the run itself where there are no folds."""
        run = RunFolder(self.folder)
        folds = [path.parent for path in sorted(run.path.glob("*/provenance.json"))]
        inner = [run] if self.recipe.protocol is None else [RunFolder(path) for path in folds]
        return {one.path.name: _development_score(one, metric) for one in inner}


def _development_score(run: RunFolder, metric: str) -> float:
    split = Manifest.read(run.manifest).split(DEVELOPMENT)
    return scores(split, Predictions.read(run.predictions(DEVELOPMENT))).get(metric, float("nan"))


@dataclass(frozen=True)
class Carried:
    """What came of a study's runs.

    Args:
        runs: step -> its runs, in the order of the seeds; none for a step that could not begin.
        choices: step with ``from`` -> which step it starts from, and why.
        waiting: step that could not begin -> why.
    """

    runs: Mapping[str, tuple[StudyRun, ...]]
    choices: Mapping[str, Choice]
    waiting: Mapping[str, str]


def run_study(
    plan: Plan,
    folder: Path,
    *,
    runs_at_a_time: int = 1,
    listener: Listener | None = None,
    progress: Progress = silent,
) -> Carried:
    """Run every step with every seed under ``folder``; the same call goes on after an interruption or a failure.

    A step begins when all runs of the steps it may start from, or uses, are finished. Where it starts from is chosen
    once: the choice stands when seeds are added later.

    Args:
        plan: the study.
        folder: gets ``study.yaml``, ``choices.json`` and ``runs/<step>/seed_<n>``, run folders.
        runs_at_a_time: in processes of their own, each with its share of the processor.

    Raises:
        ConfigError: when the folder holds runs of other recipes, or another process is at work in it.
        ModelError: when the system ends a process.
    """
    if launched_count() > 1:
        raise ConfigError("A study is run by one process, which starts its runs itself: see --runs-at-a-time.")
    listener = listener or Listener()
    runs: dict[str, tuple[StudyRun, ...]] = {}
    waiting: dict[str, str] = {}
    with alone_in(folder, others="running a study in"), _executor(runs_at_a_time) as executor:
        left = [step.name for step in plan.study.steps]
        metric = chosen_metric(plan)
        choices = kept_choices(plan, folder)
        _check_earlier(plan, folder, choices)
        write_text(folder / "study.yaml", dump_study(plan.study))
        while left:
            ready = [name for name in left if not any(one in left for one in plan.needs(name))]
            for name in ready:
                unfinished = _unfinished(plan, name, runs)
                if unfinished:
                    waiting[name] = f"it needs the runs of steps that are not all finished: {unfinished}"
                    continue
                if plan.step(name).starts_from and name not in choices:
                    choices[name] = _choose(plan, name, runs, metric)
                    write_choices(folder, choices)
                if plan.step(name).starts_from:
                    listener.say(f"{name} starts from {_in_words(choices[name], metric)}")
                try:
                    runs[name] = _runs_of(plan, name, folder, choices)
                except ConfigError as error:  # of a step that starts from another one: the rest of the study goes on
                    waiting[name] = str(error)
            _run_all([run for name in ready for run in runs.get(name, ())], executor, listener, progress)
            left = [name for name in left if name not in ready]
    return Carried(runs, choices, waiting)


def _choose(plan: Plan, name: str, runs: Mapping[str, Sequence[StudyRun]], metric: str) -> Choice:
    candidates = _development(plan.step(name).starts_from, runs, metric)
    return Choice(best_of(candidates), candidates, tuple(plan.study.seeds))


def _in_words(choice: Choice, metric: str) -> str:
    reached = ", ".join(f"{one} {score:.3f}" for one, score in choice.candidates.items())
    return f"{choice.step} (development {metric} over seed {', '.join(map(str, choice.seeds))}: {reached})"


def _development(names: Sequence[str], runs: Mapping[str, Sequence[StudyRun]], metric: str) -> dict[str, float]:
    found = {name: float(np.mean([run.development_score(metric) for run in runs[name]])) for name in names}
    undefined = [name for name, score in found.items() if not np.isfinite(score)]
    if undefined:
        raise CorpusError(
            f"Step {undefined[0]} has no development {metric}, so the best step cannot be chosen by it. Name another"
            " metric first under the study's metrics."
        )
    return found


def _unfinished(plan: Plan, name: str, runs: Mapping[str, Sequence[StudyRun]]) -> str:
    return ", ".join(one for one in plan.needs(name) if one not in runs or not all(run.finished for run in runs[one]))


def _runs_of(plan: Plan, name: str, folder: Path, choices: Mapping[str, Choice]) -> tuple[StudyRun, ...]:
    runs = []
    chosen = {step: choice.step for step, choice in choices.items()}
    for seed in plan.study.seeds:
        where = run_folder_of(folder, name, seed)
        recipe = _as_begun(plan.recipe(name, seed, chosen, folder), RunFolder(where))
        runs.append(StudyRun(name, seed, where, recipe, plan.study.kind, results_of(recipe, plan.study)))
    return tuple(runs)


def _check_earlier(plan: Plan, folder: Path, choices: Mapping[str, Choice]) -> None:
    """Before anything runs: what lies in the folder is of this study, and the splits of its first step exist."""
    for step in plan.study.steps:
        if not step.starts_from or step.name in choices:
            _runs_of(plan, step.name, folder, choices)
    is_ours = (folder / "study.yaml").exists()
    if not is_ours and any(not path.name.startswith(".") for path in folder.iterdir()):
        raise ConfigError(f"{folder} exists and holds no study; choose another folder with -o.")
    first = _runs_of(plan, plan.study.steps[0].name, folder, {})[0]
    if first.recipe.protocol is None and not RunFolder(first.folder).provenance.exists():
        source = _source(first.recipe)
        for name in first.results:
            source.split(name)


def _as_begun(recipe: Recipe, run: RunFolder) -> Recipe:
    """The recipe, which a run that lies there must be of; what a newer version added counts with its default.

    Its description and notice may have changed: a run that is not finished then goes on with those that it began with.
    """
    if not run.recipe.exists():
        return recipe
    try:
        earlier = Recipe.model_validate(yaml.safe_load(run.recipe.read_text(encoding="utf-8")))
        changed = (changes_of_finished_work if run.finished else changes_of_work)(earlier, recipe)
    except (yaml.YAMLError, ValidationError, UnicodeDecodeError):
        raise ConfigError(f"{run.recipe} cannot be read. Choose another folder with -o, or remove that run.") from None
    if changed:
        raise ConfigError(
            f"{run.path} holds a run of another recipe ({'; '.join(changed[:3])}). Choose another folder with -o, or"
            " remove that run."
        )
    words = {"description": earlier.description, "notice": earlier.notice}
    return recipe if run.finished else recipe.model_copy(update=words)


@contextmanager
def _executor(runs_at_a_time: int) -> Iterator[Executor | None]:
    """Processes that live as long as the study, so that what they keep of one run serves the next; None for one."""
    if runs_at_a_time < 1:
        raise ConfigError(f"runs_at_a_time must be at least 1, got {runs_at_a_time}.")
    if runs_at_a_time == 1:
        yield None
        return
    with training_pool(runs_at_a_time) as pool:
        yield pool


def _run_all(runs: Sequence[StudyRun], executor: Executor | None, listener: Listener, progress: Progress) -> None:
    missing = []
    for run in runs:
        if run.finished:
            run.fault.unlink(missing_ok=True)
            listener.say(f"{run.title}: done before")
        else:
            missing.append(run)
    if executor is None:
        for run in missing:
            listener.say(f"{run.title}:")
            listener.say(attempt(run, listener, progress))
        return
    jobs = {executor.submit(attempt, run): run for run in missing}
    try:
        for job in progress(as_completed(jobs), total=len(jobs), title="runs"):
            listener.say(job.result())
    except BrokenProcessPool as error:
        raise ModelError(
            "A process that trained has ended, perhaps because memory ran out: try fewer --runs-at-a-time. The same"
            " command continues."
        ) from error


def attempt(run: StudyRun, listener: Listener | None = None, progress: Progress = silent) -> str:
    """Carry a run out, or write down beside its folder why it failed; what to say of it."""
    try:
        said = carry_out(run, listener or Listener(), progress)
    except Exception as error:  # whatever it is, the other runs go on
        understood = isinstance(error, EmotuneError | OSError)
        write_text(run.fault, f"{error}\n" if understood else traceback.format_exc())
        return f"{run.title}: failed: {error if understood else repr(error)}"
    run.fault.unlink(missing_ok=True)
    return f"{run.title}: {said}"


def carry_out(run: StudyRun, listener: Listener, progress: Progress) -> str:
    """Train, then predict and score each test; in words what was reached."""
    own = RunFolder(run.folder)
    if run.recipe.protocol is not None:
        if not own.finished:
            protocol_run(run.recipe, run.folder, kind=run.kind, listener=listener, progress=progress)
    else:
        if not own.finished:
            how: Callable[..., object] = train_run if run.kind == "train" else probe_run
            how(run.recipe, run.folder, listener=listener, progress=progress)
        _score_tests(run, own, progress)
    return ", ".join(_reached(own, name, run.recipe.train.metric) for name in run.results)


def _score_tests(run: StudyRun, own: RunFolder, progress: Progress) -> None:
    manifest = Manifest.read(own.manifest)
    labelled = {utterance.split for utterance in manifest}
    left = [name for name in run.results if not _is_scored(own, name)]
    tests = {name: (manifest if name in labelled else _source(run.recipe)).split(name) for name in left}
    tested = [utterance for test in tests.values() for utterance in test]
    predictor = load(run.folder, batch_seconds=run.recipe.train.batch_seconds, scored=tested)
    for name, test in tests.items():
        predictions = predictor.predict_manifest(test, progress=progress)
        if name in labelled:
            score_run(own, test, predictions, name=name)
        else:
            predictions.write(own.predictions(name))


def _source(recipe: Recipe) -> Manifest:
    """All utterances that a recipe names, those without a label to learn too, in its splits."""
    manifest = source_manifest(recipe)
    return select_splits(manifest, recipe.data.splits) if recipe.data.splits else manifest


def tested_manifest(run: RunFolder, name: str) -> Manifest:
    """What results of that name are scored against: a split, or, where several folds were pooled, all there is."""
    manifest = Manifest.read(run.manifest)
    part = manifest.filter(lambda utterance: utterance.split == name)
    return manifest if name == POOLED and not len(part) else part


def _is_scored(run: RunFolder, name: str) -> bool:
    if (run.results(name) / "report.html").exists():
        return True
    if not run.predictions(name).exists():
        return False
    return all(utterance.split != name for utterance in Manifest.read(run.manifest))


def _reached(run: RunFolder, name: str, metric: str) -> str:
    if not (run.results(name) / "report.html").exists():
        return f"{name} predicted"
    truth = tested_manifest(run, name)
    score = scores(truth, Predictions.read(run.predictions(name))).get(metric, float("nan"))
    return f"{name} {metric} {score:.3f}"
