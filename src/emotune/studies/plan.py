"""A study: steps that each change something of a recipe, over several seeds, each compared with an earlier one."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from emotune.conditions import CONDITIONS
from emotune.config.reading import bundled_or_file, load_recipe, parse_override, read_section
from emotune.config.recipe import LARGEST_SEED, Recipe
from emotune.errors import ConfigError
from emotune.evaluation.comparing.compare import comparable
from emotune.evaluation.vote_scores import VOTE_SIMILARITY
from emotune.fusion.fuse import METHODS
from emotune.protocols.folds import POOLED
from emotune.protocols.protocol import load_protocol
from emotune.recipes import study_folder, study_names
from emotune.registry import unknown_name_message
from emotune.section import Section

_OWN_KEYS = ("seeds", "tests", "metrics", "steps", "fuse", "kind")
"""What an override changes in the study itself; every other key is of the recipes."""

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.+-]*$", max_length=60)]
"""A step's name is a folder's as well."""
_RUN_OF = re.compile(r"\{run:([^{}]*)\}")


def _as_list(value: object) -> object:
    return [value] if isinstance(value, str) else value


class StudyStep(Section):
    """One variant: a ``recipe``, or the best of the earlier steps that ``from`` names, with the changes of ``set``.

    The best has the highest mean development score over the seeds. The step is compared with ``against``: by default
    with what ``from`` chose, else with the step before it. One that is not ``scored`` is there for others alone, such
    as a gender predictor: ``{run:NAME}`` in a value of ``set`` stands for that step's run folder of the same seed.
    """

    name: Name
    recipe: str | None = None
    starts_from: Annotated[list[str], BeforeValidator(_as_list)] = Field(default=[], alias="from")
    changes: dict[str, Any] = Field(default={}, alias="set")
    against: str | None = None
    scored: bool = True

    @property
    def uses(self) -> list[str]:
        """Steps whose runs its own changes name."""
        return list(dict.fromkeys(_RUN_OF.findall(repr(self.changes))))

    @model_validator(mode="after")
    def _one_start(self) -> StudyStep:
        if (self.recipe is None) == (not self.starts_from):
            raise ValueError("give either recipe, or from: one or more earlier steps")
        return self


def _fusion_method(name: str) -> str:
    if name not in METHODS:
        raise ValueError(unknown_name_message("method", name, METHODS))
    return name


class Fuse(Section):
    """One more system at the end: the runs of ``systems`` (all steps when empty) fused seed by seed."""

    name: Name = "fused"
    systems: list[str] = Field(default=[])
    method: Annotated[str, AfterValidator(_fusion_method)] = "weights"


class Study(Section):
    """Steps x seeds, each a run of ``kind``, and how they are scored.

    ``tests`` are the splits that are scored, or predicted alone where they have no labels; a recipe with a protocol has
    its own. The first of ``metrics`` (by default the ``train.metric`` of the first step) is what ``from`` goes by.
    ``set`` changes every step.
    """

    name: str = ""
    description: str = ""
    kind: Literal["train", "probe"] = "train"
    seeds: list[Annotated[int, Field(ge=0, le=LARGEST_SEED)]] = Field(default=[0], min_length=1)
    tests: list[str] = Field(default=["test"], min_length=1)
    metrics: list[str] = Field(default=[])
    changes: dict[str, Any] = Field(default={}, alias="set")
    steps: list[StudyStep] = Field(min_length=1)
    fuse: Fuse | None = None

    @model_validator(mode="after")
    def _fits_together(self) -> Study:
        faults = [*_repeated("seeds", self.seeds), *_repeated("tests", self.tests)]
        faults += _repeated("steps", [step.name for step in self.steps])
        faults += [*self._unknown_steps(), *self._fuse_faults()]
        if not self.scored_steps:
            faults.append("steps: none of them is scored")
        if self.metrics and self.metrics[0].startswith("rmse"):
            faults.append(
                "metrics: the first one chooses the best step, and of rmse less is better; name another first"
            )
        if any(key.partition(".")[0] == "seed" for part in (self, *self.steps) for key in part.changes):
            faults.append("set.seed: the study's seeds say that")
        if self.kind == "probe":
            faults += _no_part_of_a_probe(self.steps)
        if faults:
            raise ValueError("; ".join(faults))
        return self

    @property
    def scored_steps(self) -> list[str]:
        """The names of the steps that are compared."""
        return [step.name for step in self.steps if step.scored]

    @property
    def fused_steps(self) -> list[str]:
        """The names of the steps that are fused at the end."""
        return [] if self.fuse is None else self.fuse.systems or self.scored_steps

    def _unknown_steps(self) -> list[str]:
        """Steps may only name earlier ones, and be compared with or start from scored ones."""
        faults = []
        earlier: dict[str, bool] = {}
        all_names = [step.name for step in self.steps]
        for step in self.steps:
            scored = [name for name, is_scored in earlier.items() if is_scored]
            named = [(name, "from", scored) for name in step.starts_from]
            named += [(name, "set", [*earlier]) for name in step.uses]
            named += [(step.against, "against", scored)] if step.against else []
            faults += [
                f"step {step.name}, {key}: {_not_earlier(name, known, all_names, earlier)}"
                for name, key, known in named
                if name not in known
            ]
            earlier[step.name] = step.scored
        if _RUN_OF.search(repr(self.changes)):
            faults.append("set: {run:...} is for a step's own set")
        return faults

    def _fuse_faults(self) -> list[str]:
        if self.fuse is None:
            return []
        known = self.scored_steps
        faults = [
            f"fuse.systems: {unknown_name_message('step', name, known)}"
            for name in self.fuse.systems
            if name not in known
        ]
        if self.fuse.name in [step.name for step in self.steps]:
            faults.append(f"fuse.name: '{self.fuse.name}' is a step's name")
        if len(self.fused_steps) < 2:
            faults.append("fuse.systems: needs at least two steps")
        return faults


@dataclass(frozen=True)
class Plan:
    """A study as it is to be run.

    Args:
        study: what the file says.
        folder: where the file lies, from where the paths of its own recipes start.
        overrides: of every step, as ``key.path=value``; they win over all that the file says.
    """

    study: Study
    folder: Path
    overrides: tuple[str, ...] = ()

    def step(self, name: str) -> StudyStep:
        return next(step for step in self.study.steps if step.name == name)

    def needs(self, name: str) -> list[str]:
        """Steps whose runs must be finished before a step can begin."""
        step = self.step(name)
        return list(dict.fromkeys([*step.starts_from, *step.uses]))

    def recipe(self, name: str, seed: int, chosen: Mapping[str, str], folder: Path = Path()) -> Recipe:
        """The resolved recipe of a step.

        Args:
            name: of the step.
            seed: of the run.
            chosen: which earlier step each step with ``from`` starts from.
            folder: of the study's results, where ``{run:NAME}`` lies.

        Raises:
            ConfigError: with every fault of it.
        """
        chain = [self.step(name)]
        while chain[-1].recipe is None:
            chain.append(self.step(chosen[chain[-1].name]))
        source = str(chain[-1].recipe)
        own = self.folder / source
        changes = [self.study.changes, *(step.changes for step in reversed(chain))]
        wanted = [as_override(key, _with_runs(value, folder, seed)) for part in changes for key, value in part.items()]
        try:
            recipe = load_recipe(own if own.is_file() else source, [*wanted, *self.overrides])
        except ConfigError as error:
            raise ConfigError(f"step {name}: {error}") from error
        if self.study.kind == "probe" and recipe.probe.leave_out is not None:
            raise ConfigError(
                f"step {name}: probe.leave_out leaves no development score to choose by; name a protocol instead."
            )
        return recipe.model_copy(update={"name": f"{self.study.name}/{name}", "seed": seed})


def load_study(name: str | Path, overrides: Sequence[str] = ()) -> Plan:
    """A study by path or by the name of one that comes with emotune, every step's recipe checked.

    Overrides of ``seeds``, ``tests``, ``metrics``, ``fuse`` and so on change the study, ``steps.NAME.KEY`` changes the
    ``set`` of one step; all others change every step.

    Raises:
        ConfigError: with every fault found.
    """
    path = bundled_or_file("study", name, study_folder(), study_names())
    of_steps = [item for item in overrides if item.startswith("steps.")]
    own = [item for item in overrides if re.split("[.=]", item)[0] in _OWN_KEYS and item not in of_steps]
    others = tuple(item for item in overrides if item not in [*own, *of_steps])
    if any(item.partition("=")[0] == "seed" for item in others):
        raise ConfigError("seed=...: a study has several; give seeds=[0, 1].")
    study = read_section(Study, path, own)
    if of_steps:
        study = read_section(Study, path, [*own, as_override("steps", _changed_steps(study.steps, of_steps))])
    study = study.model_copy(update={"name": study.name or path.stem})
    plan = Plan(study, path.parent, others)
    _check_recipes(plan)
    return plan


def _changed_steps(steps: Sequence[StudyStep], overrides: Sequence[str]) -> list[dict[str, Any]]:
    """Steps as a file would say them, with what ``steps.NAME.KEY=VALUE`` says added to their ``set``."""
    changes = {step.name: dict(step.changes) for step in steps}
    for override in overrides:
        path, value = parse_override(override)
        fitting = [name for name in changes if path.startswith(f"steps.{name}.")]
        if not fitting:
            named = path.split(".")[1]
            unknown = "" if named in changes else f"{unknown_name_message('step', named, changes)} "
            raise ConfigError(f"Override '{override}': {unknown}Expected steps.STEP.KEY=VALUE.")
        name = max(fitting, key=len)
        changes[name][path.removeprefix(f"steps.{name}.")] = value
    return [{**step.model_dump(mode="json", by_alias=True), "set": changes[step.name]} for step in steps]


def as_override(key: str, value: object) -> str:
    """``key=value`` with the value as YAML on one line.

    >>> as_override("model.pooling", "std"), as_override("train.head_lr", 1e-5), as_override("a", ["1", 1])
    ('model.pooling=std', 'train.head_lr=1.0e-05', "a=['1', 1]")
    """
    written = yaml.safe_dump([value], default_flow_style=True, width=float("inf"), allow_unicode=True)
    return f"{key}={written.strip()[1:-1]}"


def run_folder_of(folder: Path, step: str, seed: int) -> Path:
    """Where a step's run with a seed lies in the folder of a study."""
    return folder / "runs" / step / f"seed_{seed}"


def _with_runs(value: Any, folder: Path, seed: int) -> Any:
    """A value with ``{run:NAME}`` written out."""
    if isinstance(value, str):
        return _RUN_OF.sub(lambda found: str(run_folder_of(folder.resolve(), found[1], seed)), value)
    if isinstance(value, dict):
        return {key: _with_runs(item, folder, seed) for key, item in value.items()}
    return [_with_runs(item, folder, seed) for item in value] if isinstance(value, list) else value


def dump_study(study: Study) -> str:
    """A study as YAML, which reads back to the same."""
    return yaml.safe_dump(study.model_dump(mode="json", by_alias=True), sort_keys=False, allow_unicode=True)


def results_of(recipe: Recipe, study: Study) -> tuple[str, ...]:
    """Under which names the results of a step's runs lie: the test splits, or what several folds tested together."""
    if recipe.protocol is None:
        return tuple(study.tests)
    official = load_protocol(recipe.protocol).official
    return tuple(official.test) if official is not None else (POOLED,)


def chosen_metric(plan: Plan) -> str:
    """What the best step is chosen by: the study's first metric, or what the first scored step's training goes by."""
    if plan.study.metrics:
        return plan.study.metrics[0]
    first = plan.step(plan.study.scored_steps[0])
    return plan.recipe(first.name, plan.study.seeds[0], {}).train.metric


def shown_metrics(plan: Plan) -> tuple[str, ...]:
    """What steps are compared by, the most important first; votes say how sure a system is, not which is better."""
    own = chosen_metric(plan)
    return tuple(plan.study.metrics) or (("uar",) if own == VOTE_SIMILARITY else (own,))


def _check_recipes(plan: Plan) -> None:
    """Every step's recipe from every step that it may start from, that all are scored on the same, and by what."""
    errors: list[tuple[str, ConfigError]] = []
    recipes: dict[str, Recipe] = {}
    chosen: dict[str, str] = {}
    for step in plan.study.steps:
        for candidate in step.starts_from or [""]:
            try:
                recipes[step.name] = plan.recipe(step.name, 0, {**chosen, step.name: candidate})
            except ConfigError as error:
                errors.append((step.name, error))
        if step.starts_from:
            chosen[step.name] = step.starts_from[0]
    faults = _each_once(errors) or [
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


def _tested_apart(recipes: Mapping[str, Recipe], study: Study) -> list[str]:
    names: dict[tuple[str, ...], str] = {}
    for step, recipe in recipes.items():
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
        recipes = {name: without.recipe(name, 0, chosen) for name in plan.study.scored_steps}
        having = [name for name in recipes if getattr(recipes[name].model.conditions, condition) is not None]
        if 0 < len(having) < len(recipes):
            faults.append(
                f"{own[0]} would give {condition} to every step, and only some have it: write"
                f" steps.STEP.{own[0]} for {', '.join(having)}"
            )
    return faults


def _not_earlier(name: str, known: Sequence[str], names: Sequence[str], earlier: Mapping[str, bool]) -> str:
    if name in earlier:
        return f"{name} is not scored"
    if name in names:
        return f"{name} does not come before it"
    return unknown_name_message("step", name, known or names)


def _no_part_of_a_probe(steps: Sequence[StudyStep]) -> list[str]:
    """Keys that a probe does not look at: steps that differ in them alone would score the same."""
    used = ("data", "probe", "protocol", "model.backbone", "train.metric")
    return [
        f"step {step.name}: a probe does not look at {key}; it has {', '.join(used)}"
        for step in steps
        for key in step.changes
        if not any(key == one or key.startswith(f"{one}.") for one in used)
    ]


def _repeated(what: str, values: Sequence[object]) -> list[str]:
    twice = sorted({str(value) for value in values if list(values).count(value) > 1})
    return [f"{what}: given twice: {', '.join(twice)}"] if twice else []
