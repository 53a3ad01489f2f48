"""Losses: (output, targets) -> a sum and what it is to be divided by, so that a step over several batches is exact."""

from emotune.losses.base import Loss, LossSum
from emotune.losses.ccc import CCCLoss
from emotune.losses.cross_entropy import CrossEntropy
from emotune.registry import Registry

LOSSES: Registry[type[Loss]] = Registry("loss", {"ccc": CCCLoss, "cross_entropy": CrossEntropy})

__all__ = ["LOSSES", "Loss", "LossSum"]
