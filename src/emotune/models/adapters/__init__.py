"""Parameter-efficient fine-tuning: a few new or chosen parameters train, the encoder's own stay."""

# pyright: strict, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from emotune.registry import Registry

if TYPE_CHECKING:
    from emotune.models.adapters.insertion import Inserted

ADAPTERS: Registry[Callable[..., Inserted]] = Registry(
    "adapter",
    {
        "lora": ("emotune.models.adapters.lora:add_lora", "emotune.models.adapters.options:LoRAOptions"),
        "bottleneck": (
            "emotune.models.adapters.bottleneck:add_bottleneck",
            "emotune.models.adapters.options:BottleneckOptions",
        ),
        "peft": ("emotune.models.adapters.peft:add_peft", "emotune.models.adapters.options:PeftOptions"),
        "bitfit": "emotune.models.adapters.bitfit:choose_biases",
        "task_vectors": (
            "emotune.models.adapters.task_vectors:add_task_vectors",
            "emotune.models.adapters.options:TaskVectorOptions",
        ),
    },
    extra="train",
)
