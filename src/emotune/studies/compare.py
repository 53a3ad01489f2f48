"""Compare the steps of a study: scores, differences to their predecessors, and whom each step helped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from emotune.evaluation import scores
from emotune.evaluation.comparing.by_group import gains_by_group
from emotune.evaluation.comparing.compare import compare
from emotune.evaluation.comparing.line_up import System
from emotune.evaluation.evaluate import CLASS_MEASURES
from emotune.fusion.runs import only
from emotune.fusion.same_labels import same_labelled
from emotune.io.tables import read_json
from emotune.schema.manifest import Manifest
from emotune.schema.predictions import Predictions
from emotune.schema.run_folder import RunFolder
from emotune.studies.fusion import NOTHING_FUSED, FusedSystem, of_one_task
from emotune.studies.gather import ComparableRuns
from emotune.studies.plan import Plan, as_override, chosen_metric, shown_metrics
from emotune.studies.results import StepResult, StudyResult, TestResult
from emotune.studies.study_run import StudyRun, tested_manifest

_FOLDS_NOTE = (
    "Each run has several folds, and the development speakers of one fold are tested in another. `from` picks one step"
    " for all folds by the mean development score over them, so the speakers who chose a step are among those it is"
    " tested on: its scores, and those of steps that start from it, may be somewhat too high."
)
_FUSED_FOLDS_NOTE = (
    "{fused} is compared with the best single step of each fold: the one that is best on that fold's own development,"
    " pooled over the folds. No tested speaker had a say in which step that is; what a step with `from` starts from was"
    " chosen over all folds, in both."
)


def study_results(
    plan: Plan,
    comparable: ComparableRuns,
    fused: FusedSystem = NOTHING_FUSED,
    *,
    resamples: int = 10_000,
    seed: int = 0,
) -> StudyResult:
    """Scores and compares the predictions of a study's runs.

    Args:
        plan: the study.
        comparable: its runs.
        fused: what ``fuse_steps`` made of them.
        resamples: of bootstrap and test.
        seed: of both.

    Raises:
        EmotuneError: when steps were not tested on the same utterances, or a metric cannot be had.
    """
    metrics = shown_metrics(plan)
    steps = (*comparable.steps, *fused.steps)
    notes = [*comparable.notes, *fused.notes]
    if comparable.has_folds and any(step.choice for step in steps):
        notes.append(_FOLDS_NOTE)
    if comparable.has_folds and fused.steps:
        notes.append(_FUSED_FOLDS_NOTE.format(fused=fused.steps[-1].name))
    tests = [
        _test(name, steps, comparable, fused.systems(name), metrics, resamples=resamples, seed=seed)
        for name in comparable.labelled
    ]
    return StudyResult(
        name=plan.study.name,
        description=plan.study.description.strip(),
        kind=plan.study.kind,
        seeds=tuple(plan.study.seeds),
        compared_seeds=comparable.seeds,
        common=tuple(_common(plan)),
        chosen_by=chosen_metric(plan),
        metrics=metrics,
        steps=steps,
        tests=tuple(tests),
        predicted_only=tuple(name for name in comparable.tests if name not in comparable.labelled),
        notices=tuple(_notices(comparable)),
        notes=tuple(notes),
        has_folds=comparable.has_folds,
        curve=plan.study.curve,
    )


def _test(
    name: str,
    steps: Sequence[StepResult],
    comparable: ComparableRuns,
    composed: Sequence[System],
    metrics: Sequence[str],
    *,
    resamples: int,
    seed: int,
) -> TestResult:
    truth = _truth(name, comparable.runs, metrics)
    systems = [
        System(step, tuple(Predictions.read(RunFolder(run.folder).predictions(name)) for run in runs))
        for step, runs in comparable.runs.items()
    ]
    numbers: dict[str, Sequence[int]] = {step: [run.seed for run in runs] for step, runs in comparable.runs.items()}
    if composed:
        systems, metrics = of_one_task(systems, composed, metrics)
        numbers |= {system.name: comparable.seeds for system in composed}
    scored = {utterance.utterance_id for utterance in truth}
    systems = [System(system.name, tuple(only(run, scored) for run in system.runs)) for system in systems]
    there = {system.name for system in systems}
    pairs = [
        (step.against, step.name)
        for step in steps
        if step.against is not None and step.against in there and step.name in there
    ]
    comparison = compare(truth, systems, metrics=metrics, pairs=pairs, resamples=resamples, seed=seed)
    of_runs = {
        system.name: {
            number: scores(truth, run).get(metrics[0], float("nan"))
            for number, run in zip(numbers[system.name], system.runs, strict=True)
        }
        for system in systems
    }
    helped = gains_by_group(truth, systems, pairs, metric=metrics[0], resamples=min(resamples, 2000), seed=seed)
    return TestResult(name, comparison, of_runs, helped)


def _truth(name: str, runs: Mapping[str, Sequence[StudyRun]], metrics: Sequence[str]) -> Manifest:
    """Truth that all runs are scored against, which must be the same where the metrics look."""
    return same_labelled(
        [
            (f"step {run.step} ({run.folder})", tested_manifest(RunFolder(run.folder), name))
            for of_step in runs.values()
            for run in of_step
        ],
        classes=any(metric in CLASS_MEASURES for metric in metrics),
        dimensions=any(metric not in CLASS_MEASURES for metric in metrics),
        where=name,
        cure="A study's steps must share data.map, data.drop, data.votes and splits: make two studies of them.",
    )


def _common(plan: Plan) -> list[str]:
    overridden = {override.partition("=")[0] for override in plan.overrides}
    own = [as_override(key, value) for key, value in plan.study.changes.items() if key not in overridden]
    items = [*own, *plan.overrides]
    shown = [item.replace("=", " = ", 1) for item in items]
    return [item for item in shown if not any(Path(word).is_absolute() for word in item.split())]


def _notices(comparable: ComparableRuns) -> list[str]:
    """Warnings in the reports of the runs, each sentence once."""
    found: list[str] = []
    for runs in comparable.runs.values():
        for run in runs:
            if run.recipe.notice:
                found.append(run.recipe.notice.strip())
            for name in comparable.labelled:
                report = run.folder / name / "report.json"
                if report.exists():
                    found += [str(notice).strip() for notice in read_json(report, "Report").get("notices", [])]
    return list(dict.fromkeys(found))
