"""Tasks of a recipe beside learning from labels: the table of them, and the options of each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from emotune.registry import Registry
from emotune.section import Section

if TYPE_CHECKING:
    from collections.abc import Callable

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
        *("gradient_checkpointing", "states_gb", "workers", "precision"),
    ),
}
"""Keys of sections that pre-training heeds; all others must be left as they are."""
_UNUSED = ("loss", "probe")
"""Keys and sections that pre-training does not heed at all."""


class TaskOptions(Section):
    """Options of a task; those of other packages begin with this or with ``PretrainingOptions``."""


class PretrainingOptions(TaskOptions):
    """Options of a task that reads no label and makes an encoder, or a model without heads."""

    heeds: ClassVar[tuple[str, ...]] = ()
    """keys of other sections that it goes by, beside those that every such task does"""


class VesperOptions(PretrainingOptions):
    """An encoder of fewer layers, copied from the recipe's and taught to do without the others."""

    layers: int = Field(default=4, ge=2)
    """an even number that divides the encoder's: layers 0, L/N, 2 L/N, ... are copied"""


def pretraining_faults(recipe: Any) -> Iterator[str]:
    """Keys of a ``Recipe`` that do nothing for its task, which is pre-training: a sentence each."""
    task = recipe.task.name
    if recipe.model.start is not None:
        yield f"model.start: task {task} takes a bare encoder: name it as model.backbone.checkpoint"
        return
    defaults = type(recipe).model_fields
    unused = [name for name in _UNUSED if getattr(recipe, name) != defaults[name].get_default()]
    heeded = recipe.task.heeds
    for section, used in _USED.items():
        own = getattr(recipe, section)
        for name, field in type(own).model_fields.items():
            if name in used or f"{section}.{name}" in heeded:
                continue
            if getattr(own, name) != field.get_default(call_default_factory=True):
                unused.append(f"{section}.{name}")
    for name in unused:
        yield f"{name} does nothing for task {task}: leave it out"
    backbone = recipe.model.backbone
    if "model.backbone.train" in heeded:
        return
    if backbone.final_norm or backbone.train != "all" or backbone.train_front_end:
        yield (
            f"model.backbone: task {task} trains all but the convolutions, without a final norm: leave out train,"
            " train_front_end and final_norm"
        )
