"""emotion2vec against an independent reference: as encoder, state by state, and as published emotion model."""

from pathlib import Path

import pytest
import torch

import emotune
from builders.emotion2vec import SETTINGS, TOKENS, save_folder, states_of, weights_of
from emotune.errors import ModelError
from emotune.models.backbones import BACKBONES
from emotune.models.backbones.base import Backbone
from emotune.models.backbones.checkpoint import load_weights
from emotune.models.backbones.emotion2vec import slopes
from emotune.models.published.import_model import import_model

CONFIG = {
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_prenet_layers": 1,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "conv_dim": [16] * 7,
    "num_conv_pos_embeddings": 2,
    "conv_pos_kernel_size": 5,
    "num_conv_pos_embedding_groups": 4,
    "num_extra_tokens": 3,
}
CLASSES = ["anger", "disgust", "fear", "happiness", "neutral", "other", "sadness", "surprise", "unknown"]


def ours(weights: dict[str, torch.Tensor], *, layers: int | None = None) -> Backbone:
    backbone = BACKBONES["emotion2vec"].from_config(CONFIG, layers=layers).eval()
    without_head = {name: value for name, value in weights.items() if not name.startswith("proj.")}
    load_weights(backbone, without_head, source="a test")
    return backbone


def noise(samples: int) -> torch.Tensor:
    return torch.randn(samples, generator=torch.Generator().manual_seed(samples))


@pytest.mark.parametrize("samples", [400, 5137, 16000])
@pytest.mark.parametrize("graph", [False, True], ids=["packed", "padded"])
def test_every_state_equals_that_of_the_reference(samples: int, graph: bool) -> None:
    weights = weights_of()
    waveform = noise(samples)
    with torch.set_grad_enabled(graph):
        states = ours(weights)(waveform[None], torch.ones(1, samples, dtype=torch.bool)).states
    expected = states_of(weights, waveform)
    assert len(states) == len(expected) == 4
    for state, truth in zip(states, expected, strict=True):
        torch.testing.assert_close(state[0].detach(), truth, rtol=0, atol=1e-4)


def test_gradients_equal_those_of_the_reference() -> None:
    weights = {name: value.double().requires_grad_() for name, value in weights_of().items()}
    backbone = ours({name: value.detach() for name, value in weights.items()}).double()
    encoder = {name: value for name, value in weights.items() if not name.startswith("proj.")}
    backbone.load_state_dict(backbone.adapt_state_dict({name: value.detach() for name, value in encoder.items()}))
    waveform = noise(2400).double()
    found = backbone(waveform[None], torch.ones(1, 2400, dtype=torch.bool)).states
    expected = states_of(weights, waveform)
    direction = torch.randn(expected[0].shape, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    for states in (expected, [state[0] for state in found]):
        torch.stack([(state * direction).sum() for state in states]).sum().backward()
    theirs = backbone.adapt_state_dict(encoder)
    for name, parameter in backbone.named_parameters():
        torch.testing.assert_close(parameter.grad, theirs[name].grad, rtol=1e-6, atol=1e-9, msg=name)


def test_slopes_of_a_number_that_is_no_power_of_two_are_filled_up_from_the_next() -> None:
    assert slopes(12)[:8] == [2.0**-place for place in range(1, 9)]
    assert slopes(12)[8:] == pytest.approx([2**-0.5, 2**-1.5, 2**-2.5, 2**-3.5])


def test_the_full_size_of_base_has_the_shapes_of_its_settings() -> None:
    with torch.device("meta"):
        backbone = BACKBONES["emotion2vec"].from_config({})
    shapes = {name: tuple(value.shape) for name, value in backbone.state_dict().items()}
    assert shapes["layers.11.attn.qkv.weight"] == (2304, 768)
    assert shapes["positions.layers.4.conv.weight"] == (768, 48, 19)
    assert shapes["extra_tokens"] == (1, 10, 768)
    convolutions = 512 * 10 + 512 * 512 * (3 * 4 + 2 * 2) + 7 * 2 * 512
    before = 2 * 512 + 512 * 768 + 768 + 5 * (768 * 48 * 19 + 768) + 10 * 768 + 12 + 2 * 768
    layer = 4 * 768 * 768 + 4 * 768 + 2 * 768 * 3072 + 3072 + 768 + 4 * 768
    assert sum(parameter.numel() for parameter in backbone.parameters()) == convolutions + before + 12 * layer


def test_a_published_folder_answers_as_the_reference(tmp_path: Path) -> None:
    weights = weights_of()
    folder = save_folder(tmp_path / "plus", weights)
    clip = 0.1 * noise(9000) + 0.02
    heard = torch.nn.functional.layer_norm(clip, clip.shape)
    pooled = states_of(weights, heard)[-1].mean(dim=0)
    expected = torch.softmax(weights["proj.weight"] @ pooled + weights["proj.bias"], dim=0)
    found = emotune.load(folder, device="cpu").predict(clip.numpy(), 16000).probabilities
    assert list(found) == CLASSES
    torch.testing.assert_close(torch.tensor(list(found.values())), expected, rtol=0, atol=2e-5)
    made = import_model(folder, tmp_path / "ours")
    assert list(made.label_space.classes) == CLASSES
    again = emotune.load(tmp_path / "ours", device="cpu").predict(clip.numpy(), 16000).probabilities
    assert again == pytest.approx(found, abs=1e-6)


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (lambda weights: weights.pop("proj.weight"), "it has no head"),
        (lambda weights: weights.pop("blocks.1.norm2.bias"), r"missing.*norm2\.bias"),
        (lambda weights: weights.update({"norm.weight": torch.ones(32)}), r"unexpected: norm\.weight"),
        (lambda weights: weights["blocks.0.mlp.fc1.bias"].fill_(torch.nan), "not finite"),
    ],
)
def test_weights_that_do_not_fit_are_refused(tmp_path: Path, fault, message: str) -> None:
    weights = weights_of()
    fault(weights)
    with pytest.raises(ModelError, match=message):
        emotune.load(save_folder(tmp_path, weights))


@pytest.mark.parametrize(
    ("settings", "tokens", "message"),
    [
        (SETTINGS.replace("layer_norm_first: false", "layer_norm_first: true"), TOKENS, "layer_norm_first is True"),
        (SETTINGS.replace("normalize: true", "normalize: false"), TOKENS, "normalize is False"),
        (SETTINGS, TOKENS[::-1], "tokens.txt has unknown, surprised"),
        ("model: Emotion2vec", TOKENS, "no section model_conf"),
        ("a: [", TOKENS, "cannot be read as plain YAML"),
    ],
)
def test_settings_that_are_others_are_refused(tmp_path: Path, settings: str, tokens: list[str], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        emotune.load(save_folder(tmp_path, weights_of(), settings=settings, tokens=tokens))
