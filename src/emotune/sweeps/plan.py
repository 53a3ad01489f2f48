"""Sweep as it is to be run: recipes of its trials, all checked before the first begins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emotune.config.reading import load_recipe, parse_override, read_section
from emotune.config.recipe import Recipe
from emotune.config.tasks import refuse_task
from emotune.errors import ConfigError, page_here
from emotune.studies.plan import Plan, as_override
from emotune.studies.study import Study, StudyStep
from emotune.sweeps.sweep import Range, Sweep

_OWN_KEYS = ("trials", "seeds", "tests", "prune", "prune_from", "sampler", "kind")
"""What an override changes in the sweep itself; every other key is of the recipes."""


@dataclass(frozen=True)
class SweepPlan:
    """A sweep as it is to be run.

    Args:
        sweep: what the file says.
        folder: where the file lies, from where the path of its recipe starts.
        overrides: of every trial, as ``key.path=value``; they win over all that the file says but what is searched.
    """

    sweep: Sweep
    folder: Path
    overrides: tuple[str, ...] = ()

    def recipe(self, arm: str, parameters: Mapping[str, Any], *, seed: int | None = None) -> Recipe:
        """The recipe of a trial.

        Raises:
            ConfigError: with every fault of it.
        """
        sweep = self.sweep
        changes = {**sweep.changes, **sweep.arms[arm].changes}
        wanted = [*(as_override(key, value) for key, value in changes.items()), *self.overrides]
        wanted += [as_override(key, value) for key, value in parameters.items()]
        try:
            recipe = load_recipe(self._source, wanted)
            if sweep.kind == "probe":
                refuse_task(recipe, learner="A probe")
        except ConfigError as error:
            raise ConfigError(f"arm {arm}: {error}") from error
        if recipe.pretrains:
            raise ConfigError(
                f"arm {arm}: a sweep chooses by what models predict, and pre-training predicts nothing: leave task out,"
                " and pre-train in a study."
            )
        if recipe.protocol is not None or recipe.probe.leave_out is not None:
            raise ConfigError(
                f"arm {arm}: a sweep chooses on one development split: leave out protocol and probe.leave_out, and give"
                " them to the chosen recipe."
            )
        return recipe.model_copy(update={"name": f"{sweep.name}/{arm}", "seed": sweep.seed if seed is None else seed})

    def chosen(self, parameters: Mapping[str, Mapping[str, Any]]) -> Plan:
        """The study that trains each arm's best anew with fresh seeds, every arm against the first."""
        sweep, first = self.sweep, next(iter(parameters))
        steps = [
            StudyStep.model_validate(
                {
                    "name": arm,
                    "recipe": str(self._source),
                    "set": {**sweep.arms[arm].changes, **found},
                    "against": None if arm == first else first,
                }
            )
            for arm, found in parameters.items()
        ]
        study = Study.model_validate(
            {
                "name": f"{sweep.name}-chosen",
                "description": f"The best of {sweep.trials} trials of each arm, trained anew with fresh seeds.",
                "kind": sweep.kind,
                "seeds": sweep.fresh_seeds,
                "tests": sweep.tests,
                "set": sweep.changes,
                "steps": [step.model_dump(by_alias=True) for step in steps],
            }
        )
        return Plan(study, self.folder, tuple(self.overrides))

    def first_values(self, arm: str) -> dict[str, Any]:
        """The first choice, or the lower end, of each key that is searched in an arm."""
        return {key: _values(domain)[0] for key, domain in self.sweep.space_of(arm).items()}

    @property
    def _source(self) -> str | Path:
        own = self.folder / self.sweep.recipe
        return own.resolve() if own.is_file() else self.sweep.recipe


def load_sweep(path: str | Path, overrides: Sequence[str] = ()) -> SweepPlan:
    """Reads a sweep's file; overrides of ``trials``, ``seeds`` and so on change the sweep, all others every trial.

    Raises:
        ConfigError: with every fault found, also of recipes at the ends of the searched space.
    """
    file = Path(path)
    if not file.is_file():
        page = page_here("docs/how-to/sweeps.md")
        raise ConfigError(f"{path} is no file. Give a sweep's YAML file, as in {page}.")
    own = [item for item in overrides if item.partition("=")[0] in _OWN_KEYS]
    sweep = read_section(Sweep, file, own)
    plan = SweepPlan(
        sweep.model_copy(update={"name": sweep.name or file.stem}),
        file.parent,
        tuple(item for item in overrides if item not in own),
    )
    _check(plan)
    return plan


def _check(plan: SweepPlan) -> None:
    """Every end and every choice of each searched key makes a recipe."""
    for override in plan.overrides:
        key = parse_override(override)[0]
        if key == "seed":
            raise ConfigError("seed=...: a sweep has its own; change it in the file.")
        for arm in plan.sweep.arms:
            if key in plan.sweep.space_of(arm):
                raise ConfigError(f"{key} is searched in arm {arm}; leave the override out, or the key of the space.")
    for arm in plan.sweep.arms:
        space = plan.sweep.space_of(arm)
        first = plan.first_values(arm)
        for key, domain in space.items():
            for value in _values(domain):
                plan.recipe(arm, {**first, key: value})


def _values(domain: Range | list[Any]) -> list[Any]:
    return [domain.low, domain.high] if isinstance(domain, Range) else domain
