"""Graphs that are exported: the whole model from raw samples to named answers, and the part behind the pooling."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from emotune.audio.preprocessing import Preprocessing
from emotune.batch import Output
from emotune.models.backbones.base import mask_of
from emotune.models.emotion_model import EmotionModel
from emotune.models.normalisation import normalized

_SMALLEST = 1e-12


class WholeModel(nn.Module):
    """Raw 16 kHz samples -> probabilities, each dimension on its own scale, and the embedding, in this order.

    Args:
        model: in evaluation mode.
        preprocessing: of the model; its normalisation is done inside.
        temperature: that probabilities are softened by.
    """

    def __init__(self, model: EmotionModel, *, preprocessing: Preprocessing, temperature: float) -> None:
        super().__init__()
        self.model = model
        self.preprocessing = preprocessing
        self.answers = Answers(model, temperature=temperature)

    def forward(self, waveforms: Tensor, lengths: Tensor, *conditions: Tensor) -> tuple[Tensor, ...]:
        """Samples, shape (batch, samples), with their lengths, shape (batch,); conditions each (batch, width)."""
        mask = mask_of(lengths, waveforms.shape[1])
        if self.preprocessing.normalize == "clip":
            waveforms = normalized(waveforms, mask, variance_floor=self.preprocessing.variance_floor)
        elif self.preprocessing.normalize == "fixed":
            waveforms = ((waveforms - self.preprocessing.mean) / self.preprocessing.std).masked_fill(~mask, 0)
        embedding = self.model.pooled(waveforms, mask)
        return (*self.answers(embedding, *conditions), embedding)


class Answers(nn.Module):
    """Embedding, shape (batch, features), and conditions -> probabilities and each dimension on its own scale."""

    def __init__(self, model: EmotionModel, *, temperature: float) -> None:
        super().__init__()
        self.model = model
        self.temperature = temperature

    def forward(self, embedding: Tensor, *conditions: Tensor) -> tuple[Tensor, ...]:
        names = self.model.options["conditions"] or {}
        output = self.model.of_features(embedding, dict(zip(names, conditions, strict=True)))
        space = self.model.label_space
        answers: list[Tensor] = []
        if space.classes:
            answers.append(self._probabilities(output))
        if space.dimensions:
            unit = self.model.learns["dimensions"].answers(output.heads["dimensions"])
            for column, scale in enumerate(space.dimensions.values()):
                value = scale.low + unit[:, column] * (scale.high - scale.low)
                answers.append(value.clamp(scale.low, scale.high))
        return tuple(answers)

    def _probabilities(self, output: Output) -> Tensor:
        probabilities = self.model.learns["classes"].answers(output.heads["classes"])
        if self.temperature != 1.0:
            probabilities = torch.softmax(probabilities.clamp(min=_SMALLEST).log() / self.temperature, dim=1)
        return probabilities.float()


def simplify(model: EmotionModel) -> None:
    """Folds into plain weights what only training needs: LoRA, weight norm, and all gradients."""
    model.merge_adapter()
    for module in list(model.modules()):
        if parametrize.is_parametrized(module):
            for name in list(module.parametrizations):  # pyright: ignore[reportArgumentType]
                parametrize.remove_parametrizations(module, name)
    model.requires_grad_(False)
