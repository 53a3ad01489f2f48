"""Tasks of the one training loop: what `emotune train` teaches, each with its own section of a recipe."""

from __future__ import annotations

from typing import Any

from emotune.registry import Registry

LABELS = "labels"
"""The task of a recipe that names none: heads learn the labels of the manifest."""

TASKS: Registry[Any] = Registry(
    "task",
    {
        "views": ("emotune.training.views.pretrain:VIEWS", "emotune.config.views:ViewsSection"),
    },
    extra="train",
)
"""Tasks that learn without labels, each a ``PreTrainer`` with the section of a recipe that bears its name."""
