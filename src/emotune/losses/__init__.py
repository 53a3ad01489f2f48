"""Losses: means over utterances, exact over micro-batches, and losses of a whole batch."""

from emotune.losses.base import BatchLoss, Loss
from emotune.losses.ccc import CCCLoss
from emotune.losses.combined import CombinedLoss
from emotune.losses.cross_entropy import CrossEntropy
from emotune.losses.focal import Focal
from emotune.losses.gender import GenderCrossEntropy
from emotune.losses.votes import KL, SoftCrossEntropy
from emotune.registry import Registry

LOSSES: Registry[type[Loss | BatchLoss]] = Registry(
    "loss",
    {
        "ccc": CCCLoss,
        "cross_entropy": CrossEntropy,
        "focal": Focal,
        "gender": GenderCrossEntropy,
        "kl": KL,
        "soft_cross_entropy": SoftCrossEntropy,
    },
)

__all__ = ["LOSSES", "BatchLoss", "CombinedLoss", "Loss"]
