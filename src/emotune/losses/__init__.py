"""Losses: means over utterances, exact over micro-batches, and losses of a whole batch."""

# pyright: strict, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

from typing import TYPE_CHECKING

from emotune.registry import Registry

if TYPE_CHECKING:
    from emotune.losses.base import BatchLoss, Loss

LOSSES: Registry[type[Loss | BatchLoss]] = Registry(
    "loss",
    {
        "cross_entropy": ("emotune.losses.cross_entropy:CrossEntropy", "emotune.losses.options:CrossEntropyOptions"),
        "focal": ("emotune.losses.focal:Focal", "emotune.losses.options:FocalOptions"),
        "soft_cross_entropy": (
            "emotune.losses.votes:SoftCrossEntropy",
            "emotune.losses.options:SoftCrossEntropyOptions",
        ),
        "kl": ("emotune.losses.votes:KL", "emotune.losses.options:KLOptions"),
        "gender": ("emotune.losses.gender:GenderCrossEntropy", "emotune.losses.options:GenderLossOptions"),
        "ccc": ("emotune.losses.ccc:CCCLoss", "emotune.losses.options:CCCOptions"),
    },
    extra="train",
)
