"""Our WavLM forward against transformers' one, with constructed weights of both published flavours."""

import copy
from typing import Any

import pytest
import torch
from layer_states import assert_same_gradients, raw_states
from torch import Tensor

from emotune.models.backbones.checkpoint import load_weights
from emotune.models.backbones.family import LARGE_SHAPE
from emotune.models.backbones.wavlm import WavLM, relative_position_buckets

transformers = pytest.importorskip("transformers")

SMALL = {
    "hidden_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 96,
    "num_conv_pos_embedding_groups": 4,
}
BASE = {**SMALL, "conv_dim": [16] * 7}
LARGE = {**BASE, "feat_extract_norm": "layer", "do_stable_layer_norm": True}
FLAVOURS = {
    "base": BASE,
    "large": LARGE,
    "group norm with norms first": {**BASE, "do_stable_layer_norm": True},
    "layer norm with conv bias": {**LARGE, "conv_bias": True},
    "few convolutions, odd positional kernel": {
        **SMALL,
        "hidden_size": 64,
        "conv_dim": [16, 24, 32],
        "conv_kernel": [10, 4, 3],
        "conv_stride": [5, 4, 4],
        "num_conv_pos_embeddings": 17,
    },
}


def reference(config: dict) -> Any:
    """transformers' model, every weight moved so far from its initial value that an omitted one shows."""
    torch.manual_seed(0)
    model = transformers.WavLMModel(transformers.WavLMConfig(**config)).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.add_(torch.randn_like(parameter) * (1.0 if "rel_attn_embed" in name else 0.1))
    return model


def ours(config: dict, model: Any, *, layers: int | None = None) -> WavLM:
    backbone = WavLM.from_config(config, layers=layers).eval()
    load_weights(backbone, model.state_dict(), source="transformers")
    return backbone


def everything(waveforms: Tensor) -> Tensor:
    return torch.ones(waveforms.shape, dtype=torch.bool)


@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize("samples", [400, 5137, 32000])
@torch.no_grad()
def test_every_state_of_a_clip_equals_that_of_transformers(flavour: str, samples: int) -> None:
    model = reference(FLAVOURS[flavour])
    waveforms = torch.randn(1, samples, generator=torch.Generator().manual_seed(1))
    expected = raw_states(model, waveforms)
    hidden = ours(FLAVOURS[flavour], model)(waveforms, everything(waveforms))
    assert len(hidden.states) == len(expected) == 4
    for state, truth in zip(hidden.states, expected, strict=True):
        torch.testing.assert_close(state, truth, rtol=0, atol=1e-4)


@torch.no_grad()
def test_the_masked_path_too_equals_transformers() -> None:
    model = reference(BASE)
    waveforms = torch.randn(2, 8000, generator=torch.Generator().manual_seed(1))
    mask = everything(waveforms)
    mask[1, 5000:] = False
    hidden = ours(BASE, model)(waveforms, mask)
    for row, samples in ((0, 8000), (1, 5000)):
        expected = raw_states(model, waveforms[row : row + 1, :samples])
        for state, truth in zip(hidden.states, expected, strict=True):
            torch.testing.assert_close(state[row : row + 1, : truth.shape[1]], truth, rtol=0, atol=1e-4)


@pytest.mark.parametrize("flavour", ["base", "large"])
@pytest.mark.parametrize("layers", [1, 2])
@torch.no_grad()
def test_a_truncated_model_gives_the_full_models_raw_states(flavour: str, layers: int) -> None:
    model = reference(FLAVOURS[flavour])
    waveforms = torch.randn(1, 8000, generator=torch.Generator().manual_seed(1))
    hidden = ours(FLAVOURS[flavour], model, layers=layers)(waveforms, everything(waveforms))
    assert len(hidden.states) == layers + 1
    for state, truth in zip(hidden.states, raw_states(model, waveforms), strict=False):
        torch.testing.assert_close(state, truth, rtol=0, atol=1e-4)


@pytest.mark.parametrize("graph", [False, True], ids=["packed", "padded"])
def test_with_the_final_norm_the_last_state_is_the_published_last_hidden_state(graph: bool) -> None:
    model = reference(LARGE)
    waveforms = torch.randn(1, 8000, generator=torch.Generator().manual_seed(1))
    backbone = ours({**LARGE, "final_norm": True}, model)
    with torch.set_grad_enabled(graph):
        states = [state.detach() for state in backbone(waveforms, everything(waveforms)).states]
    with torch.no_grad():
        *raw, last = raw_states(model, waveforms)
        normed = model(waveforms).last_hidden_state
    assert not torch.allclose(normed, last, atol=0.1)
    for state, truth in zip(states, [*raw, normed], strict=True):
        torch.testing.assert_close(state, truth, rtol=0, atol=1e-4)


@pytest.mark.parametrize("flavour", ["base", "large"])
def test_gradients_of_all_weights_equal_those_of_transformers(flavour: str) -> None:
    model = reference(FLAVOURS[flavour]).double()
    backbone = ours(FLAVOURS[flavour], model).double()
    backbone.load_state_dict(backbone.adapt_state_dict(model.state_dict()))
    waveforms = torch.randn(1, 3000, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    expected = raw_states(model, waveforms)
    hidden = backbone(waveforms, everything(waveforms))
    assert_same_gradients(model, expected, backbone, hidden.states)


def test_position_buckets_equal_those_of_transformers() -> None:
    attention = reference(BASE).encoder.layers[0].attention
    positions = torch.arange(1600)
    expected = attention._relative_positions_bucket(positions[None, :] - positions[:, None])
    found = relative_position_buckets(1600, buckets=320, max_distance=800, device=torch.device("cpu"))
    assert torch.equal(found, expected)


@pytest.mark.parametrize(
    ("config", "published", "not_kept"),
    [
        ({}, 94_381_936, 768),  # masked_spec_embed
        (
            LARGE_SHAPE,
            315_453_120,
            1024 + 2 * 1024,  # masked_spec_embed, weight and bias of the final encoder norm
        ),
    ],
    ids=["base", "large"],
)
def test_the_published_sizes_have_the_published_number_of_parameters(
    config: dict, published: int, not_kept: int
) -> None:
    with torch.device("meta"):
        backbone = WavLM.from_config(config)
        assert sum(parameter.numel() for parameter in backbone.parameters()) + not_kept == published
        if config:
            with_norm = WavLM.from_config({**config, "final_norm": True})
            assert sum(parameter.numel() for parameter in with_norm.parameters()) + 1024 == published


def test_a_second_forward_and_a_copy_give_the_same_states() -> None:
    backbone = WavLM.from_config(LARGE).eval()
    waveforms = torch.randn(1, 1600, generator=torch.Generator().manual_seed(1))
    first = backbone(waveforms, everything(waveforms)).states[-1]
    assert torch.equal(first, copy.deepcopy(backbone)(waveforms, everything(waveforms)).states[-1])
