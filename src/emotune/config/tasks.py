"""Tasks of a recipe beside learning from labels: the table of them, and the options of each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from emotune.errors import ConfigError
from emotune.registry import Registry
from emotune.section import Section

if TYPE_CHECKING:
    from collections.abc import Callable

    from emotune.config.recipe import Recipe

TASKS: Registry[Callable[..., Any]] = Registry(
    "task",
    {
        "distillation": ("emotune.training.distillation:Distillation", "emotune.config.lessons:DistillationOptions"),
        "semi_supervised": (
            "emotune.training.semi_supervised:SemiSupervision",
            "emotune.config.lessons:SemiSupervisedOptions",
        ),
        "vesper": ("emotune.training.vesper.build:build_vesper", "emotune.config.tasks:VesperOptions"),
        "views": ("emotune.training.views.build:build_views", "emotune.config.views:ViewsOptions"),
    },
    extra="train",
)
"""A task by its name in a recipe; of pre-training it is a ``Builder`` of ``emotune.training.pretraining``.

One with ``LessonOptions`` fine-tunes, and is a ``Lesson`` of ``emotune.training.lesson``.
"""

_USED = {
    "data": (
        *("manifest", "corpus", "root", "labels", "splits", "unlabelled", "trim_silence_db", "max_duration_s"),
        *("too_long", "too_short", "cache", "cache_gb", "allow"),
    ),
    "model": ("backbone",),
    "train": (
        *("epochs", "batch_seconds", "accumulate", "encoder_lr", "head_lr", "weight_decay", "warmup_share"),
        *("schedule", "clip_norm", "average", "patience", "checkpoint_minutes", "memory_gb"),
        *("gradient_checkpointing", "states_gb", "workers", "trackers", "precision"),
    ),
}
"""Keys of sections that pre-training heeds; all others must be left as they are."""
_UNUSED = ("loss", "probe", "augmentation.mix", "augmentation.mix_states")
"""Sections that pre-training does not heed at all, and keys that only some tasks do."""


class PretrainingOptions(Section):
    """Options of a task that reads no label and makes an encoder, or a model without heads."""

    heeds: ClassVar[tuple[str, ...]] = ()
    """keys of other sections that it goes by, beside those that every such task does"""


class VesperOptions(PretrainingOptions):
    """An encoder of fewer layers, copied from the recipe's and taught to do without the others."""

    heeds = ("augmentation.mix",)

    layers: int = Field(default=4, ge=2)
    """an even number that divides the encoder's: layers 0, L/N, 2 L/N, ... are copied"""


def pretraining_faults(recipe: Any) -> Iterator[str]:
    """Keys of a ``Recipe`` that do nothing for its task, which is pre-training: a sentence each."""
    task = recipe.task.name
    if recipe.model.start is not None:
        yield f"model.start: task {task} takes a bare encoder: name it as model.backbone.checkpoint"
        return
    heeded = recipe.task.heeds
    others = [
        f"{section}.{name}"
        for section, used in _USED.items()
        for name in type(getattr(recipe, section)).model_fields
        if name not in used
    ]
    for path in (*_UNUSED, *others):
        if path not in heeded and _is_changed(recipe, path):
            yield f"{path} does nothing for task {task}: leave it out"
    backbone = recipe.model.backbone
    if "model.backbone.train" in heeded:
        return
    if backbone.final_norm or backbone.train != "all" or backbone.train_front_end:
        yield (
            f"model.backbone: task {task} trains all but the convolutions, without a final norm: leave out train,"
            " train_front_end and final_norm"
        )


def refuse_task(recipe: Recipe, *, learner: str) -> None:
    """Refuses a recipe with a task for what learns from labels alone.

    Args:
        recipe: that may have one.
        learner: such as ``A probe``.

    Raises:
        ConfigError: naming the task.
    """
    if recipe.task is not None:
        name = recipe.task.name
        raise ConfigError(f"{learner} learns from labels alone: leave task: {name} out, or use `emotune train`.")


def _is_changed(section: Section, path: str) -> bool:
    """Tells if a key below a section has another value than its default."""
    name, _, rest = path.partition(".")
    value = getattr(section, name)
    if rest:
        return _is_changed(value, rest)
    return value != type(section).model_fields[name].get_default(call_default_factory=True)
