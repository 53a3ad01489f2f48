"""A study as it is to be run: each step's recipe, where its runs lie, and what steps are chosen and compared by."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from emotune.config.reading import load_recipe
from emotune.config.recipe import Recipe
from emotune.config.tasks import refuse_task
from emotune.errors import ConfigError
from emotune.evaluation.vote_scores import VOTE_SIMILARITY
from emotune.protocols.protocol import load_protocol
from emotune.protocols.run import POOLED, Kind
from emotune.schema.run_folder import RunFolder
from emotune.studies.study import RUN_OF, Study, StudyStep
from emotune.training.recipe_changes import ENCODER_KEYS

_ENCODER = tuple(f"model.backbone.{key}=" for key in ENCODER_KEYS)


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
        """The step of a name."""
        return next(step for step in self.study.steps if step.name == name)

    def seeds(self, name: str) -> list[int]:
        """Seeds of a step."""
        own = self.step(name).seeds
        return self.study.seeds if own is None else own

    def kind(self, name: str) -> Kind:
        """Kind of a step's runs: fine-tuning or a probe."""
        return self.step(name).kind or self.study.kind

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
        changes: dict[str, Any] = {}
        for part in [self.study.changes, *(step.changes for step in reversed(chain))]:
            changes = {**{key: value for key, value in changes.items() if key not in part}, **part}
        start = RUN_OF.fullmatch(str(changes.get("model.start")))
        changes = {key: self._with_runs(value, folder, seed) for key, value in changes.items()}
        overrides = self.overrides
        if start is not None:  # its encoder is that of the run that it goes on from
            overrides = tuple(item for item in overrides if not item.startswith(_ENCODER))
            if not RunFolder(Path(changes["model.start"])).finished:
                del changes["model.start"]
                changes |= self._encoder_of(start[1], seed, chosen, folder, changes)
        wanted = [as_override(key, value) for key, value in changes.items()]
        try:
            recipe = load_recipe(own if own.is_file() else source, [*wanted, *overrides])
            if self.kind(name) != "train":
                refuse_task(recipe, learner=f"A {self.kind(name)}")
        except ConfigError as error:
            raise ConfigError(f"step {name}: {error}") from error
        if self.kind(name) != "train" and recipe.probe.leave_out is not None:
            raise ConfigError(
                f"step {name}: probe.leave_out leaves no development score to choose by; name a protocol instead."
            )
        return recipe.model_copy(update={"name": f"{self.study.name}/{name}", "seed": seed})

    def _encoder_of(
        self, name: str, seed: int, chosen: Mapping[str, str], folder: Path, changes: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Keys of a step's model: they stand in for a start that is not trained yet, so that all can be checked."""
        model = self.recipe(name, seed, chosen, folder).model.model_dump(mode="json")
        encoder = {key: value for key, value in model["backbone"].items() if not key.startswith("train")}
        given = {key: value for key, value in changes.get("model.backbone", {}).items() if key.startswith("train")}
        parts = {f"model.{part}": model[part] for part in ("layer_mix", "pooling")}
        return {"model.backbone": {**encoder, **given}, **parts}

    def _with_runs(self, value: Any, folder: Path, seed: int) -> Any:
        """A value with ``{run:NAME}`` written out."""

        def run_of(found: re.Match[str]) -> str:
            seeds = self.seeds(found[1])
            return str(run_folder_of(folder.resolve(), found[1], seed if seed in seeds else seeds[0]))

        if isinstance(value, str):
            return RUN_OF.sub(run_of, value)
        if isinstance(value, dict):
            return {key: self._with_runs(item, folder, seed) for key, item in value.items()}
        return [self._with_runs(item, folder, seed) for item in value] if isinstance(value, list) else value


def as_override(key: str, value: object) -> str:
    """``key=value`` with the value as YAML on one line.

    >>> as_override("model.pooling", "std"), as_override("train.head_lr", 1e-5), as_override("a", ["1", 1])
    ('model.pooling=std', 'train.head_lr=1.0e-05', "a=['1', 1]")
    """
    return f"{key}={on_one_line(value)}"


def on_one_line(value: object) -> str:
    """A value as YAML on one line, which reads back to the same."""
    return yaml.safe_dump([value], default_flow_style=True, width=float("inf"), allow_unicode=True).strip()[1:-1]


def run_folder_of(folder: Path, step: str, seed: int) -> Path:
    """The folder of a step's run with a seed, in the folder of a study."""
    return folder / "runs" / step / f"seed_{seed}"


def results_of(recipe: Recipe, study: Study) -> tuple[str, ...]:
    """Under which names the results of a step's runs lie: the test splits, or what several folds tested together.

    None for pre-training, which predicts nothing.
    """
    if recipe.pretrains:
        return ()
    if recipe.protocol is None:
        return tuple(study.tests)
    official = load_protocol(recipe.protocol).official
    return tuple(official.test) if official is not None else (POOLED,)


def chosen_metric(plan: Plan) -> str:
    """Metric that chooses the best step: the study's first metric, or what the first scored step's training goes by."""
    if plan.study.metrics:
        return plan.study.metrics[0]
    first = plan.step(plan.study.scored_steps[0])
    return plan.recipe(first.name, plan.seeds(first.name)[0], {}).train.metric


def shown_metrics(plan: Plan) -> tuple[str, ...]:
    """Metrics that steps are compared by, the most important first; votes tell how sure a system is, no more."""
    own = chosen_metric(plan)
    return tuple(plan.study.metrics) or (("uar",) if own == VOTE_SIMILARITY else (own,))
