"""Recipes of tasks that learn without labels: their metrics, and the keys that do nothing there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from emotune.config.tasks import LABELS
from emotune.config.views import METRICS

if TYPE_CHECKING:
    from emotune.config.recipe import Recipe

_METRICS: Mapping[str, tuple[str, ...]] = {"views": METRICS}
_IDLE = (
    *("data.budget", "data.target", "data.dimensions", "data.votes", "data.map", "data.drop", "loss", "probe"),
    *("augmentation.mix", "train.adversarial", "train.curriculum", "train.sampling", "train.start_from_probe"),
    *(
        "train.standardize_features",
        "train.unfreeze",
        "train.fsdp",
        "model.conditions",
        "model.hidden_size",
        "model.varan",
    ),
)


def metrics_of(task: str) -> list[str]:
    """Figures by which a task's epoch may be chosen, the usual one first."""
    return list(_METRICS.get(task, ()))


def with_metric(recipe: Any) -> Any:
    """The sections of a recipe with the usual ``train.metric`` of its task, where it names none."""
    task = recipe.get("task", LABELS) if isinstance(recipe, Mapping) else LABELS
    known = metrics_of(task) if isinstance(task, str) else []
    train = recipe.get("train") if isinstance(recipe, Mapping) else None
    if not known or not isinstance(train, Mapping | None) or "metric" in (train or {}):
        return recipe
    return {**recipe, "train": {**(train or {}), "metric": known[0]}}


def faults_without_labels(recipe: Recipe) -> list[str]:
    """Keys of a recipe that need labels or heads, which pre-training has not."""
    faults = [f"{path} does nothing for task: {recipe.task}: leave it out" for path in _IDLE if _is_set(recipe, path)]
    if recipe.model.layer_mix == "varan":
        faults.append(f"model.layer_mix: varan needs heads, and task: {recipe.task} has none; use weighted_sum or last")
    return faults


def _is_set(recipe: Recipe, path: str) -> bool:
    """Tells whether a key has another value than its default."""
    own: Any = recipe
    *sections, last = path.split(".")
    for name in sections:
        own = getattr(own, name)
    return getattr(own, last) != type(own).model_fields[last].get_default(call_default_factory=True)
