"""Faults of a study that show before anything runs: in its steps' recipes, tests, metrics and overrides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from emotune.conditions import CONDITIONS
from emotune.config.recipe import Recipe
from emotune.errors import ConfigError
from emotune.evaluation.comparing.compare import comparable
from emotune.registry import unknown_name_message
from emotune.studies.plan import Plan, results_of
from emotune.studies.study import Study


def check_recipes(plan: Plan) -> None:
    """Checks every step's recipe from every step that it may start from, the tests they share, and the metrics.

    Raises:
        ConfigError: with every fault found.
    """
    errors: list[tuple[str, ConfigError]] = []
    recipes: dict[str, Recipe] = {}
    chosen: dict[str, str] = {}
    for step in plan.study.steps:
        for candidate in step.starts_from or [""]:
            try:
                recipes[step.name] = plan.recipe(step.name, plan.seeds(step.name)[0], {**chosen, step.name: candidate})
            except ConfigError as error:
                errors.append((step.name, error))
        if step.starts_from:
            chosen[step.name] = step.starts_from[0]
    faults = _each_once(errors) or [
        *_scored_encoders(recipes, plan.study),
        *_tested_apart(recipes, plan.study),
        *_metric_faults(recipes, plan.study),
        *_given_to_all(plan, chosen),
    ]
    if faults:
        raise ConfigError("\n".join(faults))


def _each_once(errors: Sequence[tuple[str, ConfigError]]) -> list[str]:
    """The faults of steps' recipes; one that several steps share is said once, with their names."""
    steps_of: dict[str, list[str]] = {}
    for step, error in errors:
        for fault in _faults_in(error):
            steps_of.setdefault(fault, []).append(step)
    shared = {fault: list(dict.fromkeys(steps)) for fault, steps in steps_of.items() if len(set(steps)) > 1}
    said = []
    for step, error in errors:
        own = [fault for fault in _faults_in(error) if fault not in shared]
        if len(own) == len(_faults_in(error)):
            said.append(str(error))
        elif own:
            said.append(f"step {step}: {'; '.join(own)}")
    return [*dict.fromkeys(said), *(f"steps {', '.join(steps)}: {fault}" for fault, steps in shared.items())]


def _faults_in(error: ConfigError) -> list[str]:
    """The faults that a recipe's error lists, or the error itself."""
    lines = str(error.__cause__ or error).splitlines()
    return [line.strip() for line in lines if line.startswith("  ")] or [str(error)]


def _scored_encoders(recipes: Mapping[str, Recipe], study: Study) -> list[str]:
    return [
        f"step {step.name}: pre-training predicts nothing that could be scored: give scored: false"
        for step in study.steps
        if step.scored and recipes[step.name].pretrains
    ]


def _tested_apart(recipes: Mapping[str, Recipe], study: Study) -> list[str]:
    names: dict[tuple[str, ...], str] = {}
    for step, recipe in recipes.items():
        if recipe.pretrains:
            continue
        names.setdefault(results_of(recipe, study), step)
    if len(names) <= 1:
        return []
    listed = "; ".join(f"{step}: {', '.join(results)}" for results, step in names.items())
    return [f"steps must be tested on the same splits to be compared, and are not ({listed})"]


def _metric_faults(recipes: Mapping[str, Recipe], study: Study) -> list[str]:
    """Metrics that no step predicts anything for, and a first one that some step cannot be chosen by."""
    offered = {name: comparable(recipe.data.classes, recipe.data.dimensions) for name, recipe in recipes.items()}
    scored = [name for name in study.scored_steps if name in offered]
    every = sorted({metric for name in scored for metric in offered[name]})
    faults = [
        f"metrics: {unknown_name_message('metric', metric, every)}" for metric in study.metrics if metric not in every
    ]
    candidates = {name for step in study.steps for name in step.starts_from}
    first = study.metrics[:1]
    lacking = [name for name in scored if name in candidates and not set(first) <= set(offered[name])]
    if not faults and lacking:
        faults.append(f"metrics: the first, {first[0]}, chooses among steps, and these do not have it: {lacking}")
    return faults


def _given_to_all(plan: Plan, chosen: Mapping[str, str]) -> list[str]:
    """Overrides that would give a condition to steps that are there to do without it."""
    faults = []
    for condition in CONDITIONS:
        own = [item for item in plan.overrides if item.startswith(f"model.conditions.{condition}.")]
        if not own:
            continue
        without = Plan(plan.study, plan.folder, tuple(item for item in plan.overrides if item not in own))
        recipes = {name: without.recipe(name, without.seeds(name)[0], chosen) for name in plan.study.scored_steps}
        having = [name for name in recipes if getattr(recipes[name].model.conditions, condition) is not None]
        if 0 < len(having) < len(recipes):
            faults.append(
                f"{own[0]} would give {condition} to every step, and only some have it: write"
                f" steps.STEP.{own[0]} for {', '.join(having)}"
            )
    return faults
