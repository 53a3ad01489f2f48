"""A whole sweep by one call: trials of every arm in turn, fresh runs of each arm's best, tables and the page."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
from filelock import Timeout

from emotune.config.recipe import Recipe
from emotune.errors import ConfigError, EmotuneError
from emotune.io.locks import held
from emotune.io.tables import read_json, to_json, write_text
from emotune.protocols.pool import broken_pool_told, training_pool
from emotune.runtime.listener import Listener, Listeners, Row
from emotune.runtime.progress import Progress, silent
from emotune.schema.run_folder import RunFolder
from emotune.studies.carry_out import source_of
from emotune.studies.run import run as run_study
from emotune.studies.study_run import development_score
from emotune.sweeps.page import write_sweep
from emotune.sweeps.plan import SweepPlan, load_sweep
from emotune.sweeps.result import SweepResult, chosen_folder
from emotune.sweeps.store import Taken, TrialStore
from emotune.sweeps.trial import Told, in_words
from emotune.training.fine_tune import train_run
from emotune.training.probe import probe_run

PLAN = "asked.json"
TrialRunner: TypeAlias = Callable[[str, Recipe, Path, Listener, Progress], object]
"""Leaves in a folder what a run of a kind, ``train`` or ``probe``, leaves."""


class _Pruned(Exception):  # noqa: N818 (no error: a trial that is ended early)
    """A trial is worse than most were at that epoch."""


class _Watch(Listener):
    """Tells the storage each epoch's score, and ends a hopeless trial."""

    def __init__(self, taken: Taken, metric: str) -> None:
        self.taken, self.metric = taken, metric
        self.best = -np.inf

    def continues(self, rows: Sequence[Row]) -> None:
        """Takes up the best score of the epochs before an interruption."""
        self.best = max([self.best, *(float(row.get(f"development_{self.metric}", -np.inf)) for row in rows)])

    def started(self, row: Row) -> None:
        """Takes up the score of a start that is kept where no epoch is better."""
        self.continues([row])

    def epoch(self, rows: Sequence[Row]) -> None:
        """Reports the best score so far, which is what a run would keep."""
        self.continues(rows)
        if np.isfinite(self.best) and len(rows) not in self.taken.reported:
            self.taken.trial.report(float(self.best), len(rows))
        if self.taken.trial.should_prune():
            raise _Pruned


def carry_out(kind: str, recipe: Recipe, folder: Path, listener: Listener, progress: Progress) -> None:
    """Trains a trial, or goes on with one that was interrupted."""
    (train_run if kind == "train" else probe_run)(recipe, folder, listener=listener, progress=progress)


def run(
    sweep: SweepPlan | str | Path,
    folder: Path,
    *,
    overrides: Sequence[str] = (),
    trials_at_a_time: int = 1,
    resamples: int = 10_000,
    listener: Listener | None = None,
    progress: Progress = silent,
    run_one: TrialRunner = carry_out,
) -> SweepResult:
    """Searches every arm by as many trials, then trains each arm's best anew with seeds that no trial had.

    The same call goes on after an interruption, and several processes or machines may make it at the same time on a
    shared folder: a trial is one process's alone, and one that a process left goes on in the next.

    Args:
        sweep: a plan, or a sweep's file.
        folder: gets ``sweep.html``, ``sweep.csv``, ``sweep.json``, ``trials.sqlite3``, the trials, and under
            ``chosen_of_<trials>`` the study of the fresh runs.
        overrides: ``key.path=value`` of a sweep that is named.
        trials_at_a_time: in processes of their own.
        resamples: of bootstrap and test of the fresh runs.
        run_one: trains one trial.

    Raises:
        ConfigError: for a sweep with faults, a folder of another one, or when no trial of an arm ends well.
        ModelError: when the system ends a process.
    """
    plan = sweep if isinstance(sweep, SweepPlan) else load_sweep(sweep, overrides)
    listener = listener or Listener()
    _begin(plan, folder)
    if trials_at_a_time < 1:
        raise ConfigError(f"trials_at_a_time must be at least 1, got {trials_at_a_time}.")
    if trials_at_a_time == 1:
        _search(plan, folder, listener, progress, run_one)
    else:
        _search_in_processes(plan, folder, trials_at_a_time, listener, run_one)
    store = TrialStore(folder, plan.sweep)
    told = {arm: store.trials(arm) for arm in plan.sweep.arms}
    running = [f"{arm} {item.number}" for arm, items in told.items() for item in items if item.state == "running"]
    if running:
        listener.say(f"other processes are still at work on {', '.join(running)}; the last one to end writes the page")
        return SweepResult.of(plan, told, None)
    try:
        with held(folder / ".finishing.lock"):
            return _finish(plan, folder, told, resamples, listener, progress)
    except Timeout:
        listener.say("another process trains the chosen ones and writes the page")
        return SweepResult.of(plan, told, None)


def _begin(plan: SweepPlan, folder: Path) -> None:
    """Before anything runs: the folder is this sweep's, and there are the manifests and what is scored."""
    asked = {"sweep": plan.sweep.model_dump(mode="json", by_alias=True), "overrides": list(plan.overrides)}
    asked["sweep"].pop("trials")  # more may be asked for later
    kept = folder / PLAN
    if kept.exists():
        if read_json(kept, "The sweep's plan").get("asked") != asked:
            raise ConfigError(f"{folder} holds another sweep, or other overrides of it; choose another folder with -o.")
        return
    if folder.exists() and any(not path.name.startswith(".") for path in folder.iterdir()):
        raise ConfigError(f"{folder} exists and holds no sweep; choose another folder with -o.")
    for arm in plan.sweep.arms:
        source = source_of(plan.recipe(arm, plan.first_values(arm)))
        for name in plan.sweep.tests if plan.sweep.seeds else ():
            source.split(name)
    folder.mkdir(parents=True, exist_ok=True)
    write_text(kept, to_json({"asked": asked}) + "\n")


def _search(plan: SweepPlan, folder: Path, listener: Listener, progress: Progress, run_one: TrialRunner) -> None:
    """Takes trials of the arms in turn until none is left."""
    store = TrialStore(folder, plan.sweep)
    left = list(plan.sweep.arms)
    while left:
        for arm in tuple(left):
            with store.take(arm) as taken:
                if taken is None:
                    left.remove(arm)
                    continue
                listener.say(_try(plan, store, arm, taken, folder, listener, progress, run_one))


def _search_alone(plan: SweepPlan, folder: Path, run_one: TrialRunner) -> None:
    _search(plan, folder, Listener(), silent, run_one)


def _search_in_processes(plan: SweepPlan, folder: Path, count: int, listener: Listener, run_one: TrialRunner) -> None:
    with training_pool(count) as pool:
        jobs = [pool.submit(_search_alone, plan, folder, run_one) for _ in range(count)]
        with broken_pool_told("--trials-at-a-time"):
            for job in jobs:
                job.result()
    listener.say(f"{count} processes have ended")


def _try(
    plan: SweepPlan,
    store: TrialStore,
    arm: str,
    taken: Taken,
    folder: Path,
    listener: Listener,
    progress: Progress,
    run_one: TrialRunner,
) -> str:
    """Carries a trial out; says what came of it."""
    recipe = plan.recipe(arm, taken.parameters)
    run = RunFolder(folder / "trials" / arm / f"{taken.number:04d}")
    title = f"{arm}, trial {taken.number} of {plan.sweep.trials} ({in_words(taken.parameters)})"
    listener.say(f"{title}:")
    try:
        if not run.finished:
            heard = Listeners(_Watch(taken, recipe.train.metric), listener)
            run_one(plan.sweep.kind, recipe, run.path, heard, progress)
        score = development_score(run, recipe.train.metric)
    except _Pruned:
        shutil.rmtree(run.checkpoints, ignore_errors=True)
        store.prune(arm, taken.number)
        return f"{title}: ended early"
    except (EmotuneError, OSError) as error:  # the other trials go on
        store.fail(arm, taken, str(error))
        return f"{title}: failed: {error}"
    if not np.isfinite(score):
        store.fail(arm, taken, f"it has no development {recipe.train.metric}")
        return f"{title}: no development {recipe.train.metric}"
    store.complete(arm, taken.number, score)
    shutil.rmtree(run.model, ignore_errors=True)  # the chosen one is trained anew
    return f"{title}: development {recipe.train.metric} {score:.3f}"


def _finish(
    plan: SweepPlan,
    folder: Path,
    told: Mapping[str, Sequence[Told]],
    resamples: int,
    listener: Listener,
    progress: Progress,
) -> SweepResult:
    result = SweepResult.of(plan, told, None)
    without = [arm.name for arm in result.arms if arm.best is None]
    if without:
        write_sweep(folder, result)
        faults = {item.fault for item in told[without[0]] if item.fault}
        reason = f" ({'; '.join(sorted(faults)[:2])})" if faults else ""
        raise ConfigError(f"No trial of arm {without[0]} came to its end{reason}; see {folder / 'sweep.html'}.")
    if plan.sweep.seeds:
        best = {arm.name: arm.best.parameters for arm in result.arms if arm.best is not None}
        chosen = run_study(
            plan.chosen(best),
            folder / chosen_folder(plan.sweep.trials),
            resamples=resamples,
            listener=listener,
            progress=progress,
        )
        result = SweepResult.of(plan, told, chosen)
    write_sweep(folder, result)
    return result
