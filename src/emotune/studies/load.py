"""Reads a study and checks all of it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from emotune.config.reading import bundled_or_file, parse_override, read_section
from emotune.errors import ConfigError
from emotune.recipes import study_folder, study_names
from emotune.registry import unknown_name_message
from emotune.studies.curve import at_each_value
from emotune.studies.faults import check_recipes
from emotune.studies.plan import Plan, as_override
from emotune.studies.study import Study, StudyStep

_OWN_KEYS = ("seeds", "tests", "metrics", "steps", "fuse", "kind", "curve")
"""What an override changes in the study itself; every other key is of the recipes."""


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
    study = at_each_value(study.model_copy(update={"name": study.name or path.stem}))
    plan = Plan(study, path.parent, others)
    check_recipes(plan)
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
