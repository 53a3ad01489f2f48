"""What a study found: scores of every step, differences to its predecessor, and whom each step helped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from emotune.errors import ConfigError
from emotune.evaluation import scores
from emotune.evaluation.bootstrap import LEVEL
from emotune.evaluation.compare import compare
from emotune.evaluation.comparison import Comparison, Difference
from emotune.evaluation.evaluate import CLASS_MEASURES
from emotune.evaluation.helped import Helped, who_was_helped
from emotune.evaluation.line_up import System
from emotune.manifest import Manifest
from emotune.predictions import Predictions
from emotune.run_folder import RunFolder
from emotune.studies.study import Fuse, Plan, chosen_metric, shown_metrics
from emotune.studies.study_fusion import FusedSystem, fuse_steps, of_one_task
from emotune.studies.study_runs import Carried, StudyRun, best_of, changes_between, truth_of
from emotune.tables import read_json

SCHEMA = "emotune-study/1"


@dataclass(frozen=True)
class RunResult:
    """One run: which seed, whether it is finished, why not, its development score and how long it took, in seconds."""

    seed: int
    finished: bool
    error: str | None
    development: float
    seconds: float


@dataclass(frozen=True)
class StepResult:
    """One step, or the fused system.

    Args:
        name: of the step.
        recipe: whose recipe it is, by name; empty where it starts from another step.
        starts_from: the step it starts from, chosen on development, None where it has its own recipe.
        candidates: mean development score of each step it could have started from.
        against: the step it is compared with, None for the first one.
        changes: how its recipe differs from that one's, one text a key.
        runs: one a seed.
        parameters: of the model; None where they are not known.
        trainable: those of them that train.
        missing: why it has no results; empty where it has.
        scored: whether it is compared, rather than there for others.
        is_fused: whether it is the fused system, which has no recipe.
    """

    name: str
    recipe: str
    starts_from: str | None
    candidates: Mapping[str, float]
    against: str | None
    changes: tuple[str, ...]
    runs: tuple[RunResult, ...]
    parameters: int | None
    trainable: int | None
    missing: str = ""
    scored: bool = True
    is_fused: bool = False

    @property
    def development(self) -> float:
        """Mean development score of the finished runs."""
        return _mean([run.development for run in self.runs if run.finished])

    @property
    def seconds(self) -> float:
        """Mean duration of a run, over its folds."""
        return _mean([run.seconds for run in self.runs if run.finished])

    def to_json(self) -> dict[str, object]:
        return {
            **vars(self),
            "development": self.development,
            "seconds": self.seconds,
            "runs": [vars(run) for run in self.runs],
        }


@dataclass(frozen=True)
class TestResult:
    """All steps on one test: the comparison, each run's score by the first metric, and whom each step helped."""

    name: str
    comparison: Comparison
    of_runs: Mapping[str, Mapping[int, float]]
    helped: tuple[Helped, ...]

    def difference(self, step: str, metric: str) -> Difference | None:
        """A step against its predecessor; None for the first one."""
        return next((d for d in self.comparison.differences if (d.system, d.metric) == (step, metric)), None)

    def to_json(self) -> dict[str, object]:
        return {
            "comparison": self.comparison.to_json(),
            "of_runs": {step: {str(seed): score for seed, score in of.items()} for step, of in self.of_runs.items()},
            "helped": [item.to_json() for item in self.helped],
        }


@dataclass(frozen=True)
class StudyResult:
    """All of it.

    Args:
        name: of the study.
        description: likewise.
        kind: train or probe.
        seeds: of each step.
        compared_seeds: those that every step with results has finished: scores and differences are theirs.
        common: what the study sets in every step, one text a key.
        chosen_by: the metric that ``from`` goes by, on development.
        metrics: what steps are compared by, the most important first.
        steps: in their order, the fused system last.
        tests: by name, those with labels.
        predicted_only: tests without labels, whose predictions lie in the run folders.
        notices: what limits the figures, from recipes and reports.
        notes: what else a reader should know.
    """

    name: str
    description: str
    kind: str
    seeds: tuple[int, ...]
    compared_seeds: tuple[int, ...]
    common: tuple[str, ...]
    chosen_by: str
    metrics: tuple[str, ...]
    steps: tuple[StepResult, ...]
    tests: tuple[TestResult, ...]
    predicted_only: tuple[str, ...]
    notices: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def missing(self) -> list[str]:
        """One text for each run that is not there."""
        found = [f"{step.name}: {step.missing}" for step in self.steps if step.missing]
        for step in self.steps:
            found += [
                f"{step.name}, seed {run.seed}: {run.error or 'not finished'}" for run in step.runs if not run.finished
            ]
        return found

    def to_json(self) -> dict[str, object]:
        return {
            "schema": SCHEMA,
            **vars(self),
            "steps": [step.to_json() for step in self.steps],
            "tests": {test.name: test.to_json() for test in self.tests},
            "missing": self.missing,
            "interval_level": LEVEL,
        }


def study_results(plan: Plan, folder: Path, carried: Carried, *, resamples: int = 10_000, seed: int = 0) -> StudyResult:
    """Score and compare what a study's runs predicted.

    Args:
        plan: the study.
        folder: of the study; fused predictions are written below it.
        carried: what ``run_study`` gave.
        resamples: of bootstrap and test.
        seed: of both, and of fusing.

    Raises:
        EmotuneError: when steps were not tested on the same utterances, or a metric cannot be had.
    """
    chosen_by, metrics = chosen_metric(plan), shown_metrics(plan)
    steps = [_step(plan, step.name, carried, chosen_by) for step in plan.study.steps]
    finished = {
        name: {run.seed: run for run in runs if run.finished}
        for name, runs in carried.runs.items()
        if plan.step(name).scored and any(run.finished for run in runs)
    }
    names = next((run.results for runs in carried.runs.values() for run in runs), ())
    seeds = _shared_seeds(plan.study.seeds, finished)
    used = {name: [runs[number] for number in seeds or sorted(runs)] for name, runs in finished.items()}
    notes = [] if list(seeds) == plan.study.seeds or not finished else [_seeds_note(seeds, plan.study.seeds)]
    fused = FusedSystem({}, {}, ())
    fuse = plan.study.fuse
    if fuse is not None and finished:
        systems = plan.study.fused_steps
        fused = fuse_steps(fuse, systems, finished, seeds, names, folder, metric=chosen_by, seed=seed)
        notes += fused.notes
        if fused.tables:
            best = best_of({step.name: step.development for step in steps if step.name in systems})
            changes = (_fused_words(fuse, systems, fused),)
            steps.append(StepResult(fuse.name, "", None, {}, best, changes, (), None, None, is_fused=True))
    labelled = [name for name in names if any(_is_labelled(run, name) for runs in used.values() for run in runs)]
    tests = [
        _test(
            name,
            steps,
            used,
            System(fuse.name, fused.tables[name]) if fuse is not None and name in fused.tables else None,
            seeds,
            metrics,
            resamples=resamples,
            seed=seed,
        )
        for name in labelled
    ]
    return StudyResult(
        name=plan.study.name,
        description=plan.study.description.strip(),
        kind=plan.study.kind,
        seeds=tuple(plan.study.seeds),
        compared_seeds=tuple(seeds),
        common=tuple(_common(plan)),
        chosen_by=chosen_by,
        metrics=metrics,
        steps=tuple(steps),
        tests=tuple(tests),
        predicted_only=tuple(name for name in names if name not in labelled) if used else (),
        notices=tuple(_notices(used, labelled)),
        notes=tuple(notes),
    )


def predecessor(plan: Plan, name: str, chosen: Mapping[str, str]) -> str | None:
    """What a step is compared with; None for the first, and for one that is not scored."""
    step, names = plan.step(name), plan.study.scored_steps
    if not step.scored:
        return None
    before = names[names.index(name) - 1] if names.index(name) else None
    return step.against or chosen.get(name) or before


def _step(plan: Plan, name: str, carried: Carried, metric: str) -> StepResult:
    runs = carried.runs.get(name, ())
    against = predecessor(plan, name, carried.chosen)
    changes: list[str] = []
    if runs and against is not None and against in carried.runs:
        changes = changes_between(carried.runs[against][0].recipe, runs[0].recipe)
    known = [RunFolder(run.folder).information() for run in runs if run.finished]
    counts = _counts(runs)
    return StepResult(
        name,
        plan.step(name).recipe or "",
        carried.chosen.get(name),
        carried.candidates.get(name, {}),
        against,
        tuple(changes),
        tuple(_run(run, metric) for run in runs),
        counts.get("parameters") if known else None,
        counts.get("trainable") if known else None,
        carried.waiting.get(name, ""),
        plan.step(name).scored,
    )


def _run(run: StudyRun, metric: str) -> RunResult:
    if not run.finished:
        return RunResult(run.seed, False, run.error, float("nan"), float("nan"))
    seconds = RunFolder(run.folder).information().get("seconds")
    return RunResult(run.seed, True, None, run.development_score(metric), float("nan") if seconds is None else seconds)


def _counts(runs: Sequence[StudyRun]) -> dict[str, Any]:
    """Of the first finished run, or of its first fold."""
    for run in runs:
        if run.finished:
            for path in [run.folder / "provenance.json", *sorted(run.folder.glob("*/provenance.json"))]:
                known = read_json(path, "Provenance")
                if "parameters" in known:
                    return known
    return {}


def _shared_seeds(seeds: Sequence[int], finished: Mapping[str, Mapping[int, StudyRun]]) -> list[int]:
    return [number for number in seeds if all(number in runs for runs in finished.values())]


def _seeds_note(shared: Sequence[int], seeds: Sequence[int]) -> str:
    if not shared:
        return "No seed is finished by all steps, so each step's score is of the seeds that it has."
    return (
        f"Not every step has finished every seed: scores and differences are of seed {', '.join(map(str, shared))} of"
        f" {', '.join(map(str, seeds))}."
    )


def _is_labelled(run: StudyRun, name: str) -> bool:
    return (run.folder / name / "report.html").exists()


def _test(
    name: str,
    steps: Sequence[StepResult],
    used: Mapping[str, Sequence[StudyRun]],
    fused: System | None,
    seeds: Sequence[int],
    metrics: Sequence[str],
    *,
    resamples: int,
    seed: int,
) -> TestResult:
    truth = _one_truth(name, used, metrics)
    systems = [
        System(step, tuple(Predictions.read(RunFolder(run.folder).predictions(name)) for run in runs))
        for step, runs in used.items()
    ]
    numbers = {step: [run.seed for run in runs] for step, runs in used.items()}
    if fused is not None:
        systems, metrics = of_one_task(systems, fused, metrics)
        numbers[fused.name] = list(seeds)
    there = {system.name for system in systems}
    pairs = [(step.against, step.name) for step in steps if step.against in there and step.name in there]
    pairs = [(baseline, system) for baseline, system in pairs if baseline is not None]
    comparison = compare(truth, systems, metrics=metrics, pairs=pairs, resamples=resamples, seed=seed)
    of_runs = {
        system.name: {
            number: scores(truth, run).get(metrics[0], float("nan"))
            for number, run in zip(numbers[system.name], system.runs, strict=True)
        }
        for system in systems
    }
    helped = who_was_helped(truth, systems, pairs, metric=metrics[0], resamples=min(resamples, 2000), seed=seed)
    return TestResult(name, comparison, of_runs, helped)


def _one_truth(name: str, used: Mapping[str, Sequence[StudyRun]], metrics: Sequence[str]) -> Manifest:
    """What all runs are scored against. Only what the metrics look at must be the same: a step that learns more than
    others has more labels, and predictions of gender or text beside the labels may differ.
    """
    runs = [run for of in used.values() for run in of]
    first, *others = [(run, truth_of(RunFolder(run.folder), name)) for run in runs]
    labels = _labels(first[1], metrics)
    for run, truth in others:
        if _labels(truth, metrics) != labels:
            raise ConfigError(
                f"{first[0].folder} and {run.folder} were not tested on the same utterances with the same labels, so"
                f" steps {first[0].step} and {run.step} cannot be compared. A study's steps must share data.map,"
                " data.drop, data.votes and splits: make two studies of them."
            )
    return first[1]


def _labels(manifest: Manifest, metrics: Sequence[str]) -> dict[str, object]:
    found: dict[str, object] = {}
    if any(metric in CLASS_MEASURES for metric in metrics):
        found["classes"] = sorted(manifest.label_space.classes)
        found |= {u.utterance_id: (u.emotion, u.speaker) for u in manifest if u.emotion is not None}
    if any(metric not in CLASS_MEASURES for metric in metrics):
        found |= {f"{u.utterance_id} ": (dict(u.dimensions), u.speaker) for u in manifest if u.dimensions}
    return found


def _fused_words(fuse: Fuse, systems: Sequence[str], fused: FusedSystem) -> str:
    """How the steps were fused, with their weights on average."""
    if not fused.weights:
        return f"{fuse.method} over {', '.join(systems)}"
    shown = ", ".join(f"{name} {weight:.2f}" for name, weight in fused.weights.items())
    return f"weights, on average {shown}"


def _common(plan: Plan) -> list[str]:
    shown = [f"{key} = {value}" for key, value in plan.study.changes.items()]
    shown += [item.replace("=", " = ", 1) for item in plan.overrides]
    return [item for item in shown if not any(Path(word).is_absolute() for word in item.split())]


def _notices(used: Mapping[str, Sequence[StudyRun]], labelled: Sequence[str]) -> list[str]:
    """What the reports of the runs warn of, each sentence once."""
    found: list[str] = []
    for runs in used.values():
        for run in runs:
            if run.recipe.notice:
                found.append(run.recipe.notice.strip())
            for name in labelled:
                report = run.folder / name / "report.json"
                if report.exists():
                    found += [str(notice).strip() for notice in read_json(report, "Report").get("notices", [])]
    return list(dict.fromkeys(found))


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else float("nan")
