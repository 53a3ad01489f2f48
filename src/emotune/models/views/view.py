"""Contract of a view: a batch in, a vector of each clip out."""

# pyright: strict, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor, nn

from emotune.audio import FloatArray
from emotune.batch import Batch


class View(nn.Module, ABC):
    """Representation of a clip from one point of view, with its options as keyword arguments.

    A clip gives the same vector alone and in a batch, whatever stands in the padding.

    Attributes:
        output_size: of a clip's vector.
        measures: name under which a batch's ``conditions`` hold what ``measure`` found; None = it hears the sound.
        version: of what ``measure`` finds: raised when it changes, so that kept numbers are not reused.
    """

    output_size: int
    measures: ClassVar[str | None] = None
    version: ClassVar[int] = 1

    @abstractmethod
    def forward(self, batch: Batch) -> Tensor:
        """Vectors of a padded batch, shape (batch, output_size)."""

    def measure(self, samples: FloatArray) -> FloatArray:
        """Numbers of a whole clip at 16 kHz, shape (samples,) to (numbers,), NaN where undefined; made once a clip."""
        raise NotImplementedError

    def fit(self, numbers: Tensor) -> None:
        """Hears of the numbers of all training clips before training, shape (clips, numbers)."""


class Standardised(nn.Module):
    """Numbers to mean 0 and standard deviation 1 over the training clips, and 0 where they are unknown."""

    mean: Tensor
    std: Tensor

    def __init__(self, numbers: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(numbers))
        self.register_buffer("std", torch.ones(numbers))

    def fit(self, numbers: Tensor) -> None:
        """Takes the statistics of known numbers, shape (clips, numbers); one that never varies has a scale of one."""
        known = ~torch.isnan(numbers)
        counts = known.sum(dim=0).clamp(min=1)
        mean = numbers.nan_to_num().sum(dim=0) / counts
        spread = ((numbers - mean).nan_to_num().square().sum(dim=0) / counts).sqrt()
        self.mean.copy_(mean)
        self.std.copy_(torch.where(spread > 1e-8, spread, torch.ones_like(spread)))

    def forward(self, numbers: Tensor) -> Tensor:
        """Standardised numbers, shape (batch, numbers), within 5 standard deviations."""
        return ((numbers - self.mean) / self.std).clamp(-5, 5).nan_to_num()
