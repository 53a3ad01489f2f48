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

from emotune.config import Recipe
from emotune.errors import ConfigError, CorpusError, EmotuneError, ModelError
from emotune.evaluation import scores
from emotune.evaluation.score_run import score_run
from emotune.inference import load
from emotune.locks import alone_in
from emotune.manifest import Manifest
from emotune.predictions import Predictions
from emotune.progress import Progress, silent
from emotune.run_folder import RunFolder
from emotune.splits import select_splits
from emotune.studies.folds import POOLED, Kind, protocol_run
from emotune.studies.pool import training_pool
from emotune.studies.study import Plan, chosen_metric, dump_study, results_of, run_folder_of
from emotune.tables import write_text
from emotune.training.build import DEVELOPMENT, source_manifest
from emotune.training.fine_tune import train_run
from emotune.training.probe import probe_run
from emotune.training.processes import launched_count
from emotune.training.run import Listener, Quiet


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

    def development_score(self, metric: str) -> float:
        """On the development split, a mean over folds where there are several; NaN where it cannot be had."""
        run = RunFolder(self.folder)
        folds = [path.parent for path in sorted(run.path.glob("*/provenance.json"))]
        inner = [run] if self.recipe.protocol is None else [RunFolder(path) for path in folds]
        found = []
        for one in inner:
            split = Manifest.read(one.manifest).split(DEVELOPMENT)
            found.append(scores(split, Predictions.read(one.predictions(DEVELOPMENT))).get(metric, float("nan")))
        return float(np.mean(found))


@dataclass(frozen=True)
class Carried:
    """What came of a study's runs.

    Args:
        runs: step -> its runs, in the order of the seeds; none for a step that could not begin.
        chosen: step with ``from`` -> the step that it starts from.
        candidates: step with ``from`` -> mean development score of each step it could start from.
        waiting: step that could not begin -> why.
    """

    runs: Mapping[str, tuple[StudyRun, ...]]
    chosen: Mapping[str, str]
    candidates: Mapping[str, Mapping[str, float]]
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

    A step begins when all runs of the steps it may start from, or uses, are finished.

    Args:
        plan: the study.
        folder: gets ``study.yaml`` and ``runs/<step>/seed_<n>``, run folders.
        runs_at_a_time: in processes of their own, each with its share of the processor.

    Raises:
        ConfigError: when the folder holds runs of other recipes, or another process is at work in it.
        ModelError: when the system ends a process.
    """
    if launched_count() > 1:
        raise ConfigError("A study is run by one process, which starts its runs itself: see --runs-at-a-time.")
    listener = listener or Quiet()
    runs: dict[str, tuple[StudyRun, ...]] = {}
    chosen: dict[str, str] = {}
    candidates: dict[str, Mapping[str, float]] = {}
    waiting: dict[str, str] = {}
    with alone_in(folder, others="running a study in"), _executor(runs_at_a_time) as executor:
        left = [step.name for step in plan.study.steps]
        metric = chosen_metric(plan)
        _check_earlier(plan, folder)
        write_text(folder / "study.yaml", dump_study(plan.study))
        while left:
            ready = [name for name in left if not any(one in left for one in plan.needs(name))]
            for name in ready:
                unfinished = _unfinished(plan, name, runs)
                if unfinished:
                    waiting[name] = f"it needs the runs of steps that are not all finished: {unfinished}"
                    continue
                if plan.step(name).starts_from:
                    candidates[name] = _development(plan.step(name).starts_from, runs, metric)
                    chosen[name] = best_of(candidates[name])
                    reached = ", ".join(f"{one} {score:.3f}" for one, score in candidates[name].items())
                    listener.say(f"{name} starts from {chosen[name]} (development {metric}: {reached})")
                runs[name] = _runs_of(plan, name, folder, chosen)
            _run_all([run for name in ready for run in runs.get(name, ())], executor, listener, progress)
            left = [name for name in left if name not in ready]
    return Carried(runs, chosen, candidates, waiting)


def best_of(candidates: Mapping[str, float]) -> str:
    """The candidate of the highest score, the first of equals.

    >>> best_of({"mean": 0.5, "std": 0.6, "attention": 0.6})
    'std'
    """
    return max(candidates, key=lambda name: candidates[name])


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


def _runs_of(plan: Plan, name: str, folder: Path, chosen: Mapping[str, str]) -> tuple[StudyRun, ...]:
    runs = []
    for seed in plan.study.seeds:
        recipe = plan.recipe(name, seed, chosen, folder)
        where = run_folder_of(folder, name, seed)
        runs.append(StudyRun(name, seed, where, recipe, plan.study.kind, results_of(recipe, plan.study)))
    for run in runs:
        _check_unchanged(run)
    return tuple(runs)


def _check_earlier(plan: Plan, folder: Path) -> None:
    """Before anything runs: what lies in the folder is of this study's first steps, and their splits exist."""
    for step in plan.study.steps:
        if not step.starts_from:
            _runs_of(plan, step.name, folder, {})
    is_ours = (folder / "study.yaml").exists()
    if not is_ours and any(not path.name.startswith(".") for path in folder.iterdir()):
        raise ConfigError(f"{folder} exists and holds no study; choose another folder with -o.")
    first = _runs_of(plan, plan.study.steps[0].name, folder, {})[0]
    if first.recipe.protocol is None and not RunFolder(first.folder).provenance.exists():
        source = _source(first.recipe)
        for name in first.results:
            source.split(name)


def _check_unchanged(run: StudyRun) -> None:
    """A run that lies there must be of this recipe; what a newer version added counts with its default."""
    path = RunFolder(run.folder).recipe
    if not path.exists():
        return
    try:
        earlier = Recipe.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
        changed = changes_between(earlier, run.recipe, but=())
    except (yaml.YAMLError, ValidationError, UnicodeDecodeError):
        changed = ["it cannot be read"]
    if changed:
        raise ConfigError(
            f"{run.folder} holds a run of another recipe ({'; '.join(changed[:3])}). Choose another folder with -o, or"
            " remove that run."
        )


def changes_between(
    before: Recipe, after: Recipe, *, but: Sequence[str] = ("name", "description", "seed", "notice")
) -> list[str]:
    """What differs between two recipes, one text a key, such as ``model.pooling: mean → std``."""
    first, second = before.model_dump(mode="json"), after.model_dump(mode="json")
    return [f"{key}: {_shown(old)} → {_shown(new)}" for key, old, new in _differing(first, second) if key not in but]


def _differing(
    first: Mapping[str, object], second: Mapping[str, object], above: str = ""
) -> Iterator[tuple[str, object, object]]:
    """Keys with both values; a section that only one of the two has is one value."""
    for key in {**first, **second}:
        old, new = first.get(key), second.get(key)
        if isinstance(old, dict) and isinstance(new, dict):
            yield from _differing(old, new, f"{above}{key}.")
        elif old != new:
            yield f"{above}{key}", old, new


def _shown(value: object) -> str:
    """A value for people; of a path its last part, so that a page names no folder of anybody's."""
    if value is None or value in ({}, []):
        return "none"
    if isinstance(value, dict):
        return ", ".join(f"{key} {_shown(item)}" for key, item in value.items() if item is not None)
    if isinstance(value, list):
        return ", ".join(_shown(item) for item in value)
    if isinstance(value, str) and Path(value).is_absolute():
        *_, above, step, seed = ("", "", *Path(value).parts)
        return f"{step}/{seed}" if above == "runs" else seed
    return str(value).lower() if isinstance(value, bool) else str(value)


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
        said = carry_out(run, listener or Quiet(), progress)
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


def truth_of(run: RunFolder, name: str) -> Manifest:
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
    truth = truth_of(run, name)
    score = scores(truth, Predictions.read(run.predictions(name))).get(metric, float("nan"))
    return f"{name} {metric} {score:.3f}"
