"""Losses of a whole optimiser step, over micro-batches with dropout; over processes see test_processes."""

import copy

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from builders.models import tiny_backbone
from emotune.batch import Batch, one_hot_shares, pad
from emotune.losses.ccc import CCCLoss
from emotune.models.emotion_model import EmotionModel
from emotune.schema.labels import LabelSpace, Scale
from emotune.training.loop.whole_step import shares_of_step, summed


def batches(sizes: list[int]) -> list[Batch]:
    generator = np.random.default_rng(0)
    found = []
    for size in sizes:
        clips = [generator.standard_normal(int(generator.integers(4000, 9000))).astype(np.float32) for _ in range(size)]
        dimensions = torch.tensor(generator.uniform(size=(size, 2)), dtype=torch.float32)
        dimensions[0, 1] = torch.nan
        classes = one_hot_shares(torch.tensor(generator.integers(0, 3, size)), 3)
        found.append(pad(clips, {"classes": classes, "dimensions": dimensions}))
    return found


@pytest.fixture
def noisy_model(tiny_wavlm) -> EmotionModel:
    noise = dict.fromkeys(("hidden_dropout", "activation_dropout", "attention_dropout"), 0.3) | {"layerdrop": 0.4}
    space = LabelSpace(("anger", "happiness", "neutral"), {"arousal": Scale(1, 7), "valence": Scale(1, 7)})
    return EmotionModel(tiny_backbone(tiny_wavlm | noise), space, dropout=0.3).train()


def gradients(model: nn.Module) -> dict[str, Tensor]:
    return {name: parameter.grad for name, parameter in model.named_parameters() if parameter.grad is not None}


@pytest.mark.parametrize("sizes", [[5], [3, 4], [2, 5, 3, 4]])
def test_ccc_over_micro_batches_is_that_of_all_predictions_with_dropout(noisy_model, sizes):
    """Against one graph over all micro-batches, with the same seeds."""
    loss, steps, twin = CCCLoss(), batches(sizes), copy.deepcopy(noisy_model)
    truths = [batch.targets["dimensions"] for batch in steps]

    def predictions(model: EmotionModel) -> list[Tensor]:
        found = []
        for seed, batch in enumerate(steps):
            torch.manual_seed(seed)
            found.append(model(batch).heads["dimensions"])
        return found

    whole = loss(torch.cat(predictions(twin)), torch.cat(truths))
    whole.backward()
    parts = shares_of_step([found.detach() for found in predictions(noisy_model)], truths, loss)
    values = []
    for seed, (batch, part) in enumerate(zip(steps, parts, strict=True)):
        torch.manual_seed(seed)
        value = part.surrogate(noisy_model(batch).heads["dimensions"])
        value.backward()
        values.append(value.detach())
    torch.testing.assert_close(torch.stack(values).sum(), whole.detach(), rtol=1e-4, atol=1e-6)
    expected = gradients(twin)
    assert expected.keys() == gradients(noisy_model).keys()
    for name, gradient in gradients(noisy_model).items():
        torch.testing.assert_close(gradient, expected[name], rtol=1e-3, atol=1e-6, msg=lambda m, n=name: f"{n}: {m}")


def test_normalisers_are_added_up():
    found = summed([{"a": torch.tensor(2.0), "b": torch.tensor(1.0)}, {"a": torch.tensor(3.0), "b": torch.tensor(0.0)}])
    assert {name: value.item() for name, value in found.items()} == {"a": 5.0, "b": 1.0}
