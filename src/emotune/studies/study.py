"""A study as its file says it: steps that each change something of a recipe, seeds, tests, metrics, fusion."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import yaml
from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from emotune.config.recipe import LARGEST_SEED
from emotune.fusion.fuse import METHODS
from emotune.registry import unknown_name_message
from emotune.section import Section

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.+-]*$", max_length=60)]
"""A step's name is a folder's as well."""
Seeds = Annotated[list[Annotated[int, Field(ge=0, le=LARGEST_SEED)]], Field(min_length=1)]
Kind = Literal["train", "probe", "baseline"]
_USED: Mapping[Kind, Sequence[str]] = {
    "probe": ("data", "probe", "protocol", "model.backbone", "train.metric"),
    "baseline": ("data", "probe.inverse_regularisation", "protocol", "train.metric"),
}
RUN_OF = re.compile(r"\{run:([^{}]*)\}")
"""``{run:NAME}`` in a value: the run folder of that step, of the same seed."""


def _as_list(value: object) -> object:
    return [value] if isinstance(value, str) else value


class StudyStep(Section):
    """One variant: a ``recipe``, or the best of the earlier steps that ``from`` names, with the changes of ``set``.

    The best has the highest mean development score over the seeds. The step is compared with ``against``: by default
    with what ``from`` chose, else with the step before it. One that is not ``scored`` is there for others alone, such
    as a gender predictor or pre-training: ``{run:NAME}`` in a value of ``set`` stands for that step's run folder of the
    same seed, or of its first one where it has ``seeds`` of its own without that. ``kind`` may differ from the study's.
    """

    name: Name
    recipe: str | None = None
    starts_from: Annotated[list[str], BeforeValidator(_as_list)] = Field(default=[], alias="from")
    changes: dict[str, Any] = Field(default={}, alias="set")
    against: str | None = None
    scored: bool = True
    kind: Kind | None = None
    seeds: Seeds | None = None

    @property
    def uses(self) -> list[str]:
        """Steps whose runs its own changes name."""
        return list(dict.fromkeys(RUN_OF.findall(repr(self.changes))))

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


class Curve(Section):
    """Every scored step once at each of some ``values`` of a key of its recipe, drawn as learning curves.

    ``seeds`` are those at a value, where they are not the steps' own. ``lines`` are written where the steps have been
    made: the name of each line, and its step at each value.
    """

    key: str = "data.budget"
    values: list[float] = Field(min_length=2)
    seeds: dict[float, Seeds] = Field(default={})
    lines: dict[str, dict[float, str]] = Field(default={})

    @model_validator(mode="after")
    def _known_values(self) -> Curve:
        faults = _repeated("values", self.values)
        faults += [f"seeds: {value:g} is none of the values" for value in self.seeds if value not in self.values]
        if faults:
            raise ValueError("; ".join(faults))
        return self


class Study(Section):
    """Steps x seeds, each a run of ``kind``, and how they are scored.

    ``tests`` are the splits that are scored, or predicted alone where they have no labels; a recipe with a protocol has
    its own. The first of ``metrics`` (by default the ``train.metric`` of the first step) is what ``from`` goes by.
    ``set`` changes every step. With ``curve`` there is each scored step once at each of its values.
    """

    name: str = ""
    description: str = ""
    kind: Kind = "train"
    seeds: Seeds = Field(default=[0])
    tests: list[str] = Field(default=["test"], min_length=1)
    metrics: list[str] = Field(default=[])
    changes: dict[str, Any] = Field(default={}, alias="set")
    steps: list[StudyStep] = Field(min_length=1)
    curve: Curve | None = None
    fuse: Fuse | None = None

    @model_validator(mode="after")
    def _fits_together(self) -> Study:
        faults = [*_repeated("seeds", self.seeds), *_repeated("tests", self.tests)]
        faults += _repeated("steps", [step.name for step in self.steps])
        faults += [*self._unknown_steps(), *self._fuse_faults(), *self._seed_faults()]
        if not self.scored_steps:
            faults.append("steps: none of them is scored")
        if self.metrics and self.metrics[0].startswith("rmse"):
            faults.append(
                "metrics: the first one chooses the best step, and of rmse less is better; name another first"
            )
        if any(key.partition(".")[0] == "seed" for part in (self, *self.steps) for key in part.changes):
            faults.append("set.seed: the study's seeds say that")
        for kind, used in _USED.items():
            faults += _no_part_of(kind, used, [step for step in self.steps if (step.kind or self.kind) == kind])
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
        if RUN_OF.search(repr(self.changes)):
            faults.append("set: {run:...} is for a step's own set")
        return faults

    def _seed_faults(self) -> list[str]:
        """Seeds that are given twice, and steps of several seeds where the same are needed."""
        own = [step for step in self.steps if step.seeds is not None]
        faults = [fault for step in own for fault in _repeated(f"step {step.name}, seeds", step.seeds or [])]
        if self.fuse is not None and (self.curve is not None or any(step.scored for step in own)):
            faults.append("fuse goes seed by seed: leave it out, or curve and the seeds of scored steps")
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


def dump_study(study: Study) -> str:
    """A study as YAML, which reads back to the same."""
    return yaml.safe_dump(study.model_dump(mode="json", by_alias=True), sort_keys=False, allow_unicode=True)


def _not_earlier(name: str, known: Sequence[str], names: Sequence[str], earlier: Mapping[str, bool]) -> str:
    if name in earlier:
        return f"{name} is not scored"
    if name in names:
        return f"{name} does not come before it"
    return unknown_name_message("step", name, known or names)


def _no_part_of(kind: Kind, used: Sequence[str], steps: Sequence[StudyStep]) -> list[str]:
    """Keys that a probe, or a baseline, does not look at: steps that differ in them alone would score the same."""
    return [
        f"step {step.name}: a {kind} does not look at {key}; it has {', '.join(used)}"
        for step in steps
        for key in step.changes
        if not any(key == one or key.startswith(f"{one}.") for one in used)
    ]


def _repeated(what: str, values: Sequence[object]) -> list[str]:
    twice = sorted({str(value) for value in values if list(values).count(value) > 1})
    return [f"{what}: given twice: {', '.join(twice)}"] if twice else []
