"""What runs a model: prepared clips in, probabilities and dimensions out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from emotune.audio import FloatArray
from emotune.calibration import Calibration
from emotune.errors import ModelError
from emotune.labels import LabelSpace
from emotune.preprocessing import Preprocessing


@dataclass(frozen=True)
class EngineOutput:
    """What an engine says of a batch: probabilities (batch, classes) and unit-scale dimensions (batch, dimensions)."""

    probabilities: NDArray[np.floating]
    dimensions: NDArray[np.floating]


class EngineError(ModelError):
    """A batch could not be run for want of memory, or because a process ended; a smaller one might."""


class Engine(Protocol):
    """Runs a model on prepared clips. Everything around it is the same for every engine.

    ``concurrency`` is the number of threads that may call ``run`` at a time. ``run`` raises an ``EngineError`` for what
    may be the batch's fault.
    """

    label_space: LabelSpace
    preprocessing: Preprocessing
    calibration: Calibration
    fingerprint: str | None
    concurrency: int

    def run(self, waveforms: Sequence[FloatArray]) -> EngineOutput: ...
