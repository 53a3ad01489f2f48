"""Our wav2vec 2.0 and HuBERT against transformers' own, with constructed weights of both published flavours."""

from typing import Any

import pytest
import torch
from layer_states import assert_same_gradients, raw_states
from torch import Tensor

from emotune.errors import ModelError
from emotune.models.backbones import BACKBONES
from emotune.models.backbones.base import Backbone
from emotune.models.backbones.checkpoint import load_weights
from emotune.models.backbones.family import LARGE_SHAPE

transformers = pytest.importorskip("transformers")

BASE = {
    "hidden_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 96,
    "num_conv_pos_embedding_groups": 4,
    "conv_dim": [16] * 7,
}
LARGE = {**BASE, "feat_extract_norm": "layer", "do_stable_layer_norm": True, "conv_bias": True}
CASES = {
    "wav2vec2 base": ("wav2vec2", BASE),
    "wav2vec2 large": ("wav2vec2", LARGE),
    "hubert base": ("hubert", BASE),
    "hubert large": ("hubert", LARGE),
    "unispeech-sat base": ("unispeech-sat", BASE),
    "unispeech-sat large": ("unispeech-sat", LARGE),
    "data2vec audio": ("data2vec-audio", BASE),
    "data2vec audio, more positions": (
        "data2vec-audio",
        {**BASE, "num_conv_pos_embeddings": 3, "conv_pos_kernel_size": 6},
    ),
    "hubert without the projection's norm": ("hubert", {**BASE, "feat_proj_layer_norm": False}),
}
CLASSES = {
    "wav2vec2": ("Wav2Vec2Config", "Wav2Vec2Model", "Wav2Vec2ForPreTraining"),
    "hubert": ("HubertConfig", "HubertModel", "HubertForCTC"),
    "unispeech-sat": ("UniSpeechSatConfig", "UniSpeechSatModel", "UniSpeechSatForPreTraining"),
    "data2vec-audio": ("Data2VecAudioConfig", "Data2VecAudioModel", "Data2VecAudioForCTC"),
}
over_cases = pytest.mark.parametrize("case", CASES)


def reference(case: str, kind: int = 1) -> Any:
    name, config = CASES[case]
    torch.manual_seed(0)
    config_class = getattr(transformers, CLASSES[name][0])
    model = getattr(transformers, CLASSES[name][kind])(config_class(**config, vocab_size=7)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model


def ours(case: str, state: dict[str, Tensor], *, layers: int | None = None) -> Backbone:
    name, config = CASES[case]
    backbone = BACKBONES[name].from_config(config, layers=layers).eval()
    load_weights(backbone, state, source="transformers")
    return backbone


def noise(clips: int, samples: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(clips, samples, dtype=dtype, generator=torch.Generator().manual_seed(1))


@over_cases
@pytest.mark.parametrize("samples", [400, 5137, 32000])
@pytest.mark.parametrize("graph", [False, True], ids=["packed", "padded"])
def test_every_state_equals_that_of_transformers(case: str, samples: int, graph: bool) -> None:
    model = reference(case)
    backbone = ours(case, model.state_dict())
    waveforms = noise(1, samples)
    with torch.no_grad():
        expected = raw_states(model, waveforms)
    with torch.set_grad_enabled(graph):
        states = backbone(waveforms, torch.ones_like(waveforms, dtype=torch.bool)).states
    assert len(states) == len(expected) == 4
    for state, truth in zip(states, expected, strict=True):
        torch.testing.assert_close(state.detach(), truth, rtol=0, atol=1e-4)


@pytest.mark.parametrize("case", ["wav2vec2 large", "hubert large"])
@torch.no_grad()
def test_with_the_final_norm_the_last_state_is_the_published_last_hidden_state(case: str) -> None:
    name, config = CASES[case]
    model = reference(case)
    backbone = BACKBONES[name].from_config({**config, "final_norm": True}).eval()
    load_weights(backbone, model.state_dict(), source="transformers")
    waveforms = noise(1, 5137)
    found = backbone(waveforms, torch.ones_like(waveforms, dtype=torch.bool)).states[-1]
    torch.testing.assert_close(found, model(waveforms).last_hidden_state, rtol=0, atol=1e-4)


@over_cases
def test_gradients_equal_those_of_transformers(case: str) -> None:
    model = reference(case).double()
    backbone = ours(case, model.state_dict()).double()
    backbone.load_state_dict(backbone.adapt_state_dict(model.state_dict()))
    waveforms = noise(1, 3000, torch.float64)
    expected = raw_states(model, waveforms)
    found = backbone(waveforms, torch.ones_like(waveforms, dtype=torch.bool)).states
    assert_same_gradients(model, expected, backbone, found)


@pytest.mark.parametrize("case", ["wav2vec2 base", "hubert large"])
def test_weights_load_from_under_a_head_and_in_the_old_spelling(case: str) -> None:
    whole = reference(case, kind=2)
    spelling = {"parametrizations.weight.original0": "weight_g", "parametrizations.weight.original1": "weight_v"}
    old = whole.state_dict()
    for new, name in spelling.items():
        old = {key.replace(new, name): tensor for key, tensor in old.items()}
    assert any(key.endswith("weight_g") for key in old)
    backbone = ours(case, old, layers=2)
    encoder = getattr(whole, CASES[case][0])
    waveforms = noise(1, 5000)
    with torch.no_grad():
        states = backbone(waveforms, torch.ones_like(waveforms, dtype=torch.bool)).states
        expected = raw_states(encoder, waveforms)
    for state, truth in zip(states, expected, strict=False):
        torch.testing.assert_close(state, truth, rtol=0, atol=1e-4)


def test_an_unknown_part_of_a_checkpoint_is_an_error() -> None:
    state = reference("hubert base").state_dict() | {"classifier.weight": torch.ones(3, 48)}
    with pytest.raises(ModelError, match=r"1 unexpected: classifier\.weight"):
        ours("hubert base", state)


@pytest.mark.parametrize(
    ("name", "config", "published"),
    [
        ("wav2vec2", {}, 94_371_712),
        ("hubert", {}, 94_371_712),
        ("unispeech-sat", {}, 94_371_712),
        ("data2vec-audio", {}, 93_164_288),
        (
            "hubert",
            {**LARGE_SHAPE, "conv_bias": True},
            315_438_720,
        ),
    ],
)
def test_full_sizes_have_as_many_parameters_as_transformers(name: str, config: dict, published: int) -> None:
    with torch.device("meta"):
        backbone = BACKBONES[name].from_config(config)
        theirs = getattr(transformers, CLASSES[name][1])(getattr(transformers, CLASSES[name][0])(**config))
    count = sum(parameter.numel() for parameter in theirs.parameters())
    hidden = backbone.hidden_size
    not_kept = hidden + (2 * hidden if config else 0)  # masked_spec_embed; the final norm of stable models
    assert count == published
    assert sum(parameter.numel() for parameter in backbone.parameters()) == count - not_kept
