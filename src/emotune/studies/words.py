"""A study in sentences: what it is, what its differences say, what was chosen, what to know before reading."""

from __future__ import annotations

from emotune.evaluation.comparing.verdicts import summary
from emotune.protocols.run import POOLED
from emotune.report.metric_names import metric_name
from emotune.report.numbers import number
from emotune.studies.choices import StepChoice
from emotune.studies.results import StudyResult, TestResult


def title_of(test: TestResult) -> str:
    """A test's name for people."""
    return "all folds" if test.name == POOLED else test.name


def about(result: StudyResult) -> str:
    """Steps, seeds, and what is common to all."""
    steps = [step for step in result.steps if step.scored and not step.is_composed]
    common = f" In every step: {', '.join(result.common)}." if result.common else ""
    only = f" Predicted without labels: {', '.join(result.predicted_only)}." if result.predicted_only else ""
    how = {"train": "trained", "probe": "probed", "baseline": "baselines of pitch and energy"}[result.kind]
    others = [step.name for step in result.steps if not step.scored]
    beside = f" Trained for other steps alone: {', '.join(others)}." if others else ""
    return f"{len(steps)} steps, {how} with {_seeds(result)}.{beside}{common}{only}"


def _seeds(result: StudyResult) -> str:
    """Seeds that all steps have, or how many each has."""
    steps = [step for step in result.steps if step.scored and step.runs and not step.is_composed]
    each = {tuple(run.seed for run in step.runs) for step in steps} or {tuple(result.seeds)}
    if len(each) > 1:
        fewest, most = min(map(len, each)), max(map(len, each))
        return f"{fewest} to {most} seeds each" if fewest < most else f"{most} seed{'s' * (most > 1)} each"
    seeds = list(next(iter(each)))
    return f"{len(seeds)} seeds ({', '.join(map(str, seeds))})" if len(seeds) > 1 else f"seed {seeds[0]}"


def counted(test: TestResult) -> str:
    """Utterances and speakers of a test."""
    speakers = test.comparison.speakers
    who = f"{speakers} speakers" if speakers else "speakers unknown"
    return f"{test.comparison.compared} utterances, {who}."


def below_chance(result: StudyResult) -> list[str]:
    """One sentence for each test on which no step is shown to beat chance."""
    several = len(result.tests) > 1
    return [
        f"{title_of(test)}: {sentence}" if several else sentence
        for test in result.tests
        for sentence in test.comparison.below_chance
    ]


def verdicts(test: TestResult, metric: str) -> list[str]:
    """Conclusions from the differences of one table, in few sentences."""
    return summary([item for item in test.comparison.differences if item.metric == metric])


def choices(result: StudyResult) -> list[str]:
    """One sentence for each step that starts from the best of others."""
    return [_choice(result, step.name, step.choice) for step in result.steps if step.choice]


def _choice(result: StudyResult, name: str, choice: StepChoice) -> str:
    """The step that was chosen and its scores, then and over all seeds that have finished since."""
    said = f"{name} starts from {choice.step}: mean development {metric_name(result.chosen_by)} "
    said += ", ".join(f"{one} {number(score)}" for one, score in choice.candidates.items())
    if choice.seeds == result.seeds:
        return said
    now = {step.name: step.development for step in result.steps if step.name in choice.candidates}
    seeds = f"seed{'s' * (len(choice.seeds) > 1)} {', '.join(map(str, choice.seeds))}"
    reached = ", ".join(f"{one} {number(score)}" for one, score in now.items())
    return f"{said}. It was chosen with {seeds} and kept since; over all finished seeds: {reached}"


def choosing(result: StudyResult) -> str:
    """The rule by which a step is chosen."""
    if result.has_folds:
        return (
            "By the mean development score over the folds; who chooses in one fold is tested in another, see the notes."
        )
    return "Never on a test split; the first of equals."


def notes_of(result: StudyResult) -> list[str]:
    """Limits that a reader should know, each sentence once."""
    found = list(result.notes)
    for test in result.tests:
        found += test.comparison.notes
        found += [f"{item.reason}: {item.count}, such as {item.examples[0]}." for item in test.comparison.left_out]
    return list(dict.fromkeys(found))
