"""Runs a model with PyTorch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from emotune.audio import FloatArray
from emotune.audio.preprocessing import Preprocessing
from emotune.batch import Output, pad, stacked
from emotune.choices import Precision
from emotune.errors import ConfigError
from emotune.inference.engine import EngineError, EngineOutput
from emotune.models.backbones.eight_bits import to_eight_bits
from emotune.models.backbones.transformer import fix_positions
from emotune.models.emotion_model import EmotionModel
from emotune.models.precisions import check_precision
from emotune.models.store import load_model
from emotune.runtime.out_of_memory import is_out_of_memory, release_unused
from emotune.schema.calibration import Calibration, with_temperature


class TorchEngine:
    """An ``Engine`` over an ``EmotionModel`` in memory, in evaluation mode and without gradients.

    ``concurrency`` above 1 needs a model that is in evaluation mode already.
    """

    def __init__(
        self,
        model: EmotionModel,
        preprocessing: Preprocessing,
        *,
        calibration: Calibration | None = None,
        fingerprint: str | None = None,
        concurrency: int = 1,
        autocast: torch.dtype | None = None,
    ) -> None:
        self.autocast = autocast
        self.concurrency = concurrency
        self.model = model
        self.label_space = model.label_space
        self.preprocessing = preprocessing
        self.calibration = calibration or Calibration()
        self.fingerprint = fingerprint
        self.conditions: Mapping[str, Mapping[str, Any]] = model.options["conditions"] or {}

    @classmethod
    def load(
        cls,
        folder: str | Path,
        *,
        device: str | None = None,
        precision: Precision = "fp32",
        shared: bool = False,
    ) -> TorchEngine:
        """Loads a model folder; see ``emotune.load``, and ``load_model`` for shared weights.

        Raises:
            ConfigError: for a device or a precision that cannot be had.
        """
        chosen = usable_device(device)
        check_precision(precision, chosen)
        stored = load_model(folder, shared=shared)
        if precision == "int8":
            for encoder in stored.model.encoders:
                to_eight_bits(encoder)
        stored.model.ask_for_what_is_mixed()
        if chosen == "cpu":
            fix_positions(stored.model)
        return cls(
            stored.model.to(chosen),
            stored.preprocessing,
            calibration=stored.calibration,
            fingerprint=stored.fingerprint,
            autocast=torch.bfloat16 if precision == "bf16" else None,
        )

    @property
    def device(self) -> torch.device:
        """Device that the model's weights are on."""
        return next(self.model.parameters()).device

    def run(self, waveforms: Sequence[FloatArray], conditions: Sequence[Mapping[str, FloatArray]] = ()) -> EngineOutput:
        """Prepared clips, each shape (samples,), to probabilities, unit-scale dimensions and embeddings.

        Raises:
            EngineError: when memory does not suffice for the batch.
        """
        return self._in_evaluation(
            lambda: self._output(self.model(pad(waveforms, conditions=conditions).to(self.device)))
        )

    def answers_to(
        self, embeddings: NDArray[np.floating], conditions: Sequence[Mapping[str, FloatArray]] = ()
    ) -> EngineOutput:
        """Embeddings as ``run`` gives them, to what ``run`` would have said of them.

        Raises:
            EngineError: when memory does not suffice for the batch.
        """
        features = torch.tensor(np.asarray(embeddings, dtype=np.float32))
        given = {name: value.to(self.device) for name, value in stacked(conditions).items()}
        return self._in_evaluation(lambda: self._output(self.model.of_features(features.to(self.device), given)))

    def _in_evaluation(self, work: Callable[[], EngineOutput]) -> EngineOutput:
        """Runs the model without dropout and without gradients."""
        was_training = self.model.training
        self.model.eval()
        try:
            with torch.inference_mode(), self._precision():
                return work()
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
        finally:
            self.model.train(was_training)
        # out of the handler: what the failed attempt held is free by now
        release_unused(self.device)
        raise EngineError("There is not enough memory to run the model on it.")

    def _precision(self) -> AbstractContextManager[Any]:
        return nullcontext() if self.autocast is None else torch.autocast(self.device.type, self.autocast)

    def _output(self, output: Output) -> EngineOutput:
        answers = {
            head.stored_as: head.answers(output.heads[name]).cpu().numpy()
            for name, head in self.model.learns.items()
            if head.stored_as is not None
        }
        nothing = np.zeros((len(output.features), 0))
        probabilities = with_temperature(answers.get("probabilities", nothing), self.calibration.temperature)
        embeddings = output.features.float().cpu().numpy()
        return EngineOutput(probabilities, answers.get("dimensions", nothing), embeddings)


def usable_device(device: str | None) -> str:
    """The device that is asked for; None = a GPU where there is one.

    Raises:
        ConfigError: for a device that is not there.
    """
    chosen = device or ("cuda" if torch.cuda.is_available() else "cpu")
    try:
        torch.zeros(1, device=chosen)
    except (RuntimeError, AssertionError, NotImplementedError) as error:  # AssertionError: torch without CUDA
        reason = str(error).splitlines()[0]
        raise ConfigError(f"Device '{chosen}' cannot be used here ({reason}). Choose another, such as cpu.") from error
    return chosen
