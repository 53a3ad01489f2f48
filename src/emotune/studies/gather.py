"""Contents of a study's folder: its steps, their runs that are compared, and the tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from emotune.io.tables import read_json
from emotune.schema.run_folder import RunFolder
from emotune.studies.execute import StudyRuns
from emotune.studies.plan import Plan, chosen_metric
from emotune.studies.results import RunResult, StepResult
from emotune.studies.study_run import StudyRun
from emotune.training.recipe_changes import changes_between


@dataclass(frozen=True)
class ComparableRuns:
    """A study's runs that are compared, and its steps.

    Args:
        steps: all of them.
        runs: scored step -> its runs that are compared: those of ``seeds``, or all that are finished where there are no
            such seeds.
        seeds: those that every scored step with results has finished.
        tests: names of the results.
        labelled: those of them that can be scored.
        notes: what a reader should know.
    """

    steps: tuple[StepResult, ...]
    runs: Mapping[str, tuple[StudyRun, ...]]
    seeds: tuple[int, ...]
    tests: tuple[str, ...]
    labelled: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def has_folds(self) -> bool:
        """Tells if each run has several folds, whose tests are pooled."""
        return any(run.has_folds for runs in self.runs.values() for run in runs)


def gather(plan: Plan, begun: StudyRuns) -> ComparableRuns:
    """Gathers the runs that ``run_study`` left, as far as it got."""
    steps = tuple(_step(plan, step.name, begun, chosen_metric(plan)) for step in plan.study.steps)
    finished = {
        name: {run.seed: run for run in runs if run.finished}
        for name, runs in begun.runs.items()
        if plan.step(name).scored and any(run.finished for run in runs)
    }
    wanted = {name: plan.seeds(name) for name in finished}
    shared = {name: _shared_seeds(name, wanted, finished) for name in finished}
    seeds = [number for number in plan.study.seeds if all(number in own for own in shared.values())] if finished else []
    used = {name: tuple(runs[n] for n in shared[name] or sorted(runs)) for name, runs in finished.items()}
    tests = next((run.results for runs in begun.runs.values() for run in runs if run.results), ()) if used else ()
    labelled = tuple(name for name in tests if any(_is_labelled(run, name) for runs in used.values() for run in runs))
    is_whole = all(shared[name] == wanted[name] for name in finished)
    notes = [] if is_whole else [_seeds_note(seeds, plan.study.seeds)]
    notes += [
        f"{step.name} is not compared: {step.against}, which it would be compared with, has no results."
        for step in steps
        if step.name in used and step.against is not None and step.against not in used
    ]
    return ComparableRuns(steps, used, tuple(seeds), tests, labelled, tuple(notes))


def predecessor(plan: Plan, name: str, chosen: Mapping[str, str]) -> str | None:
    """The step that a step is compared with; None for the first, and for one that is not scored."""
    step, names = plan.step(name), plan.study.scored_steps
    if not step.scored:
        return None
    if plan.study.curve is not None:  # who comes before at the same value is written in the step
        return step.against or chosen.get(name)
    before = names[names.index(name) - 1] if names.index(name) else None
    return step.against or chosen.get(name) or before


def _step(plan: Plan, name: str, begun: StudyRuns, metric: str) -> StepResult:
    runs = begun.runs.get(name, ())
    chosen = {step: choice.step for step, choice in begun.choices.items()}
    against = predecessor(plan, name, chosen)
    changes: list[str] = []
    if runs and against is not None and against in begun.runs:
        changes = changes_between(begun.runs[against][0].recipe, runs[0].recipe)
    known = [RunFolder(run.folder).information() for run in runs if run.finished]
    counts = _counts(runs)
    return StepResult(
        name,
        plan.step(name).recipe or "",
        begun.choices.get(name),
        against,
        tuple(changes),
        tuple(_run(run, metric) for run in runs),
        counts.get("parameters") if known else None,
        counts.get("trainable") if known else None,
        begun.waiting.get(name, ""),
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


def _shared_seeds(
    name: str, wanted: Mapping[str, Sequence[int]], finished: Mapping[str, Mapping[int, StudyRun]]
) -> list[int]:
    """A step's seeds that every step has finished that is to have them."""
    return [
        number
        for number in wanted[name]
        if all(number in runs for other, runs in finished.items() if number in wanted[other])
    ]


def _seeds_note(shared: Sequence[int], seeds: Sequence[int]) -> str:
    if not shared:
        return "No seed is finished by all steps, so each step's score is of the seeds that it has."
    return (
        f"Not every step has finished every seed: scores and differences are of seed {', '.join(map(str, shared))} of"
        f" {', '.join(map(str, seeds))}."
    )


def _is_labelled(run: StudyRun, name: str) -> bool:
    return (run.folder / name / "report.html").exists()
