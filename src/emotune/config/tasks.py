"""Tasks that a recipe may name in place of learning from labels alone, each with its options."""

from __future__ import annotations

from typing import Any

from emotune.registry import Registry

TASKS: Registry[Any] = Registry(
    "task",
    {
        "distillation": ("emotune.training.distillation:Distillation", "emotune.config.lessons:DistillationOptions"),
        "semi_supervised": (
            "emotune.training.semi_supervised:SemiSupervision",
            "emotune.config.lessons:SemiSupervisedOptions",
        ),
    },
    extra="train",
)
"""Those whose options are ``LessonOptions`` fine-tune: their entry is a ``emotune.training.lesson.Lesson``."""
