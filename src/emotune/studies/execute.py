"""Run a study: what is missing is trained, what was begun goes on, what fails is noted and the others go on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml
from pydantic import ValidationError

from emotune.config.recipe import Recipe
from emotune.errors import ConfigError, CorpusError
from emotune.io.locks import alone_in
from emotune.io.tables import write_text
from emotune.protocols.pool import broken_pool_told, training_pool
from emotune.runtime.listener import Listener
from emotune.runtime.progress import Progress, silent
from emotune.schema.run_folder import RunFolder
from emotune.studies.carry_out import Runner, attempt, carry_out, source_of
from emotune.studies.choices import StepChoice, best_of, kept_choices, write_choices
from emotune.studies.plan import Plan, chosen_metric, results_of, run_folder_of
from emotune.studies.study import dump_study
from emotune.studies.study_run import StudyRun
from emotune.training.loop.processes import launched_count
from emotune.training.recipe_changes import changes_of_finished_work, changes_of_work


@dataclass(frozen=True)
class StudyRuns:
    """A study's runs, as far as they got.

    Args:
        runs: step -> its runs, in the order of the seeds; none for a step that could not begin.
        choices: step with ``from`` -> which step it starts from, and why.
        waiting: step that could not begin -> why.
    """

    runs: Mapping[str, tuple[StudyRun, ...]]
    choices: Mapping[str, StepChoice]
    waiting: Mapping[str, str]


def run_study(
    plan: Plan,
    folder: Path,
    *,
    runs_at_a_time: int = 1,
    listener: Listener | None = None,
    progress: Progress = silent,
    run_one: Runner = carry_out,
) -> StudyRuns:
    """Runs every step with every seed under ``folder``; the same call goes on after an interruption or a failure.

    A step begins when all runs of the steps it may start from, or uses, are finished. Where it starts from is chosen
    once: the choice stands when seeds are added later.

    Args:
        plan: the study.
        folder: gets ``study.yaml``, ``choices.json`` and ``runs/<step>/seed_<n>``, run folders.
        runs_at_a_time: in processes of their own, each with its share of the processor.
        run_one: carries out one run; with several at a time a function that processes can be sent.

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
            _run_all([run for name in ready for run in runs.get(name, ())], run_one, executor, listener, progress)
            left = [name for name in left if name not in ready]
    return StudyRuns(runs, choices, waiting)


def _choose(plan: Plan, name: str, runs: Mapping[str, Sequence[StudyRun]], metric: str) -> StepChoice:
    candidates = _development(plan.step(name).starts_from, runs, metric)
    return StepChoice(best_of(candidates), candidates, tuple(plan.seeds(plan.step(name).starts_from[0])))


def _in_words(choice: StepChoice, metric: str) -> str:
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


def _runs_of(plan: Plan, name: str, folder: Path, choices: Mapping[str, StepChoice]) -> tuple[StudyRun, ...]:
    runs = []
    chosen = {step: choice.step for step, choice in choices.items()}
    for seed in plan.seeds(name):
        where = run_folder_of(folder, name, seed)
        recipe = _as_begun(plan.recipe(name, seed, chosen, folder), RunFolder(where))
        runs.append(StudyRun(name, seed, where, recipe, plan.kind(name), results_of(recipe, plan.study)))
    return tuple(runs)


def _check_earlier(plan: Plan, folder: Path, choices: Mapping[str, StepChoice]) -> None:
    """Before anything runs: what lies in the folder is of this study, and the splits of its first step exist."""
    for step in plan.study.steps:
        if not step.starts_from or step.name in choices:
            _runs_of(plan, step.name, folder, choices)
    is_ours = (folder / "study.yaml").exists()
    if not is_ours and any(not path.name.startswith(".") for path in folder.iterdir()):
        raise ConfigError(f"{folder} exists and holds no study; choose another folder with -o.")
    first = _runs_of(plan, plan.study.steps[0].name, folder, {})[0]
    if first.recipe.protocol is None and not RunFolder(first.folder).provenance.exists():
        source = source_of(first.recipe)
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


def _run_all(
    runs: Sequence[StudyRun], run_one: Runner, executor: Executor | None, listener: Listener, progress: Progress
) -> None:
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
            listener.say(attempt(run, run_one, listener, progress))
        return
    jobs = {executor.submit(attempt, run, run_one): run for run in missing}
    with broken_pool_told("--runs-at-a-time"):
        for job in progress(as_completed(jobs), total=len(jobs), title="runs"):
            listener.say(job.result())
