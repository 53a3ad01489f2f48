"""Task: what the training loop teaches a module, as losses of its outputs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from torch import Tensor, nn

from emotune.batch import Batch

Said = TypeVar("Said")
"""What a module gives for a batch."""


@dataclass(frozen=True)
class WholeLoss(Generic[Said]):
    """A loss of all clips of an optimiser step at once, which is no sum over them.

    Args:
        prediction: of a module's output, shape (batch, numbers).
        truth: of a batch, of the same shape.
        loss: a scalar from the predictions and the truth of all clips, its weight included.
    """

    prediction: Callable[[Said], Tensor]
    truth: Callable[[Batch], Tensor]
    loss: Callable[[Tensor, Tensor], Tensor]


class Task(nn.Module, ABC, Generic[Said]):
    """From a batch, and what a module says of it, to losses by name.

    The loop makes them those of a whole optimiser step, whatever micro-batches, processes and pieces it is cut into.
    What is random in the module is drawn from torch's generator, which the loop seeds for every piece.
    """

    differentiates_inputs: bool = False
    """``heard`` takes gradients by the waveforms, whatever of the module trains"""

    def heard(self, model: nn.Module, batch: Batch) -> Batch:
        """Training batch as the module hears it, on its device; the same for the same state of torch's generator."""
        return batch

    @abstractmethod
    def normalisers(self, batch: Batch) -> Mapping[str, Tensor]:
        """Divisors of each mean of a batch, a scalar each, from its masks and targets alone.

        Targets are on the module's device, sound and masks may not be.
        """

    @abstractmethod
    def mean_losses(self, output: Said, batch: Batch, normalisers: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """A batch's part of each mean over a step, a scalar each, weighted.

        Args:
            output: what the module says of the batch.
            batch: on the module's device.
            normalisers: summed over all batches of the step.
        """

    @property
    def whole_losses(self) -> Mapping[str, WholeLoss[Said]]:
        """Losses of all clips of a step at once, by name."""
        return {}

    @abstractmethod
    def everything(self, output: Said) -> Tensor:
        """A scalar of all that the module says, whose backward pass takes as much memory as training's."""
