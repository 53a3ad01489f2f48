"""Victim: a model, and one clip, as an attack sees them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from emotune.audio import FloatArray
from emotune.audio.preprocessing import Preprocessing
from emotune.batch import Batch, stacked
from emotune.errors import ConfigError
from emotune.inference.engine import Engine
from emotune.models.backbones.whisper import Whisper
from emotune.models.emotion_model import EmotionModel


class Victim(ABC):
    """Model that hears one clip.

    Args:
        clean: what an attack changes, of any shape.
        low: the least that a number may become.
        high: the most.

    ``queries`` counts the inputs that the model was asked about.
    """

    def __init__(self, clean: Tensor, *, low: float, high: float) -> None:
        self.clean = clean
        self.low = low
        self.high = high
        self.queries = 0

    def scores(self, inputs: Tensor) -> Tensor:
        """Scores of the classes before the softmax, (batch, *shape) -> (batch, classes)."""
        self.queries += len(inputs)
        return self._scores(inputs)

    @abstractmethod
    def _scores(self, inputs: Tensor) -> Tensor: ...

    @torch.no_grad()
    def decisions(self, inputs: Tensor) -> Tensor:
        """Index of the answered class, (batch, *shape) -> (batch,)."""
        return self.scores(inputs).argmax(dim=1)

    def clipped(self, inputs: Tensor) -> Tensor:
        """Inputs within the valid range."""
        return inputs.clamp(self.low, self.high)


class WaveformVictim(Victim):
    """Samples of a trimmed clip, of full scale 1, before they are normalised; gradients flow through all of it.

    Args:
        model: in evaluation mode.
        preprocessing: the model's.
        samples: trimmed, shape (samples,).
        conditions: what the model is given beside the sound, each shape (width,); held fast.
    """

    def __init__(
        self,
        model: EmotionModel,
        preprocessing: Preprocessing,
        samples: FloatArray,
        conditions: Mapping[str, FloatArray] | None = None,
    ) -> None:
        clean = torch.from_numpy(np.array(samples, dtype=np.float32)).to(next(model.parameters()).device)
        super().__init__(clean, **_full_scale(samples))
        self.model, self.preprocessing = model, preprocessing
        self.conditions = {name: value.to(clean.device) for name, value in _given(conditions).items()}

    def _scores(self, inputs: Tensor) -> Tensor:
        heard = normalised(inputs, self.preprocessing)
        batch = Batch(heard, torch.ones_like(heard, dtype=torch.bool), conditions=self._conditions_of(len(inputs)))
        return self.model(batch).heads["classes"]

    def _conditions_of(self, count: int) -> dict[str, Tensor]:
        """The conditions of so many variants of the clip."""
        return {name: value.expand(count, -1) for name, value in self.conditions.items()}


class LogMelVictim(WaveformVictim):
    """Log-mel spectrogram that the model's encoder makes of a clip, shape (bins, frames), in the clip's own range.

    Raises:
        ConfigError: for an encoder that hears the samples.
    """

    def __init__(
        self,
        model: EmotionModel,
        preprocessing: Preprocessing,
        samples: FloatArray,
        conditions: Mapping[str, FloatArray] | None = None,
    ) -> None:
        super().__init__(model, preprocessing, samples, conditions)
        self.encoder = encoder_of_log_mel(model)
        self.mask = torch.ones_like(self.clean, dtype=torch.bool)[None]
        with torch.no_grad():
            self.clean = self.encoder.spectrogram(normalised(self.clean[None], preprocessing), self.mask)[0]
        self.low, self.high = float(self.clean.min()), float(self.clean.max())

    def _scores(self, inputs: Tensor) -> Tensor:
        states = self.encoder.of_spectrogram(inputs, self.mask.expand(len(inputs), -1))
        pooled = self.model.pooled_states(states)
        return self.model.of_features(pooled, self._conditions_of(len(inputs))).heads["classes"]


class ClosedVictim(Victim):
    """Model of which only the answers are known, such as an exported one; its scores are logarithms of probabilities.

    Args:
        engine: runs it.
        samples: trimmed, shape (samples,).
        conditions: as for ``WaveformVictim``.
    """

    def __init__(self, engine: Engine, samples: FloatArray, conditions: Mapping[str, FloatArray] | None = None) -> None:
        super().__init__(torch.from_numpy(np.array(samples, dtype=np.float32)), **_full_scale(samples))
        self.engine = engine
        self.conditions = conditions

    def _scores(self, inputs: Tensor) -> Tensor:
        heard = [self.engine.preprocessing.finish(row) for row in inputs.detach().numpy()]
        given = [self.conditions] * len(heard) if self.conditions else []
        probabilities = torch.from_numpy(np.asarray(self.engine.run(heard, given).probabilities))
        return probabilities.clamp(min=1e-30).log().float()


def encoder_of_log_mel(model: EmotionModel) -> Whisper:
    """Encoder of a model, if it hears log-mel spectrograms.

    Raises:
        ConfigError: for another one.
    """
    if model.second is not None:
        raise ConfigError(
            "domain=log_mel attacks the spectrogram of one encoder, and this model has two. Use domain=waveform."
        )
    if not isinstance(model.backbone, Whisper):
        raise ConfigError(
            f"domain=log_mel attacks the spectrogram that an encoder such as Whisper's hears, and this model's encoder,"
            f" {model.backbone.model_type}, hears the samples. Use domain=waveform."
        )
    return model.backbone


def normalised(samples: Tensor, preprocessing: Preprocessing) -> Tensor:
    """As ``Preprocessing.finish``, for a batch of clips without padding, shape (batch, samples)."""
    if preprocessing.normalize == "fixed":
        return (samples - preprocessing.mean) / preprocessing.std
    if preprocessing.normalize == "clip":
        variance, mean = torch.var_mean(samples, dim=1, correction=0, keepdim=True)
        return (samples - mean) / (variance + preprocessing.variance_floor).sqrt()
    return samples


def _full_scale(samples: FloatArray) -> dict[str, float]:
    """Range of samples, which a decoded clip may go beyond."""
    return {"low": min(-1.0, float(samples.min())), "high": max(1.0, float(samples.max()))}


def _given(conditions: Mapping[str, FloatArray] | None) -> dict[str, Tensor]:
    return stacked([conditions]) if conditions else {}
