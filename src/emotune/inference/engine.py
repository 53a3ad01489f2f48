"""Contract of an engine: prepared clips in, probabilities and dimensions out."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from emotune.audio import FloatArray
from emotune.audio.preprocessing import Preprocessing
from emotune.errors import ModelError
from emotune.schema.calibration import Calibration
from emotune.schema.labels import LabelSpace

RUN, ANSWERS_TO = "run", "answers_to"
"""Methods of an engine that a worker process is asked for."""


@dataclass(frozen=True)
class EngineOutput:
    """Output for a batch.

    Args:
        probabilities: shape (batch, classes), after the temperature.
        dimensions: on the unit scale, shape (batch, dimensions).
        embeddings: pooled features before they are standardised, shape (batch, features), or (batch, layers, features)
            where every layer has its own head.
    """

    probabilities: NDArray[np.floating]
    dimensions: NDArray[np.floating]
    embeddings: NDArray[np.floating] = field(default_factory=lambda: np.zeros((0, 0), dtype=np.float32))


class EngineError(ModelError):
    """A batch could not be run for want of memory, or because a process ended; a smaller one might."""


class Engine(Protocol):
    """Runs a model on prepared clips. Everything around it is the same for every engine.

    ``concurrency`` is the number of threads that may call ``run`` at a time. ``run`` raises an ``EngineError`` for what
    may be the batch's fault. ``conditions`` of the engine are those of the model's config; those of ``run`` are the
    values of each clip, by name, each shape (width,); none where the model takes none.
    """

    label_space: LabelSpace
    preprocessing: Preprocessing
    calibration: Calibration
    fingerprint: str | None
    concurrency: int

    @property
    def conditions(self) -> Mapping[str, Mapping[str, Any]]:
        """Conditions of the model's config."""
        ...

    def run(self, waveforms: Sequence[FloatArray], conditions: Sequence[Mapping[str, FloatArray]] = ()) -> EngineOutput:
        """Runs the model on prepared clips, each of shape (samples,)."""
        ...

    def answers_to(
        self, embeddings: NDArray[np.floating], conditions: Sequence[Mapping[str, FloatArray]] = ()
    ) -> EngineOutput:
        """Runs what comes behind the pooling on embeddings as ``run`` gives them."""
        ...


@dataclass(frozen=True)
class Description:
    """Description of a worker process's engine, sent before any work."""

    label_space: LabelSpace
    preprocessing: Preprocessing
    calibration: Calibration
    fingerprint: str | None
    conditions: Mapping[str, Mapping[str, Any]]

    @classmethod
    def of(cls, engine: Engine) -> Description:
        """Description of an engine in this process."""
        return cls(*(getattr(engine, field.name) for field in dataclasses.fields(cls)))
