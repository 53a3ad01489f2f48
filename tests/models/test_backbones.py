"""What every backbone of the table promises, over all of them."""

import json

import pytest
import torch

from builders.models import CONFORMER, DEPTHWISE, EMOTION2VEC, SEVEN_CONVOLUTIONS, WIDER_WHISPER, tiny_backbone
from emotune.errors import AudioError, ConfigError
from emotune.models.backbones import BACKBONES
from emotune.models.backbones.base import Backbone, HiddenStates

FAMILY = {
    "group norm": SEVEN_CONVOLUTIONS,
    "final norm": {**SEVEN_CONVOLUTIONS, "do_stable_layer_norm": True, "final_norm": True},
    "layer norm": {**SEVEN_CONVOLUTIONS, "feat_extract_norm": "layer", "do_stable_layer_norm": True, "conv_bias": True},
}
TINY_CONFIGS = {
    "data2vec-audio": {
        "five positions": SEVEN_CONVOLUTIONS,
        "even kernel": {**SEVEN_CONVOLUTIONS, "num_conv_pos_embeddings": 2, "conv_pos_kernel_size": 6},
    },
    "depthwise": {"spectrogram": DEPTHWISE},
    "emotion2vec": {"extra tokens": EMOTION2VEC},
    "hubert": FAMILY,
    "unispeech-sat": FAMILY,
    "wav2vec2": FAMILY,
    "wav2vec2-bert": {"filter bank": CONFORMER},
    "wavlm": FAMILY,
    "whisper": {
        "80 bins": WIDER_WHISPER,
        "final norm": {**WIDER_WHISPER, "final_norm": True},
    },
}
CASES = [(name, flavour) for name, flavours in TINY_CONFIGS.items() for flavour in flavours]
over_all = pytest.mark.parametrize(("name", "flavour"), CASES, ids=lambda value: value)


def build(name: str, flavour: str, *, layers: int | None = None) -> Backbone:
    config = TINY_CONFIGS[name][flavour]
    if layers is not None:
        config = {**config, "final_norm": False}
    backbone = tiny_backbone(config, name, layers=layers).eval()
    with torch.no_grad():
        for parameter in backbone.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return backbone


def clips(backbone: Backbone) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    lengths = [16000, backbone.min_samples, 9999, backbone.min_samples + 321]
    return [torch.randn(samples, generator=generator) + 0.3 for samples in lengths]


def encode(backbone: Backbone, waveforms: list[torch.Tensor], *, padding: float = 0.0, extra: int = 0) -> HiddenStates:
    longest = max(map(len, waveforms)) + extra
    padded = torch.full((len(waveforms), longest), padding)
    for row, waveform in enumerate(waveforms):
        padded[row, : len(waveform)] = waveform
    lengths = torch.tensor([len(waveform) for waveform in waveforms])
    return backbone(padded, torch.arange(longest)[None, :] < lengths[:, None])


def largest_difference(hidden: HiddenStates, others: HiddenStates) -> float:
    """Over real frames."""
    frames = int(min(hidden.mask.sum(1).max(), others.mask.sum(1).max()))
    real = hidden.mask[:, :frames]
    pairs = zip(hidden.states, others.states, strict=True)
    return max((a[:, :frames] - b[:, :frames])[real].abs().max().item() for a, b in pairs)


def test_every_backbone_of_the_table_has_a_tiny_config_here() -> None:
    assert set(BACKBONES) == set(TINY_CONFIGS)


@over_all
@pytest.mark.parametrize("graph", [False, True])
def test_a_clip_gives_the_same_states_alone_and_in_a_batch(name: str, flavour: str, graph: bool) -> None:
    backbone = build(name, flavour)
    waveforms = clips(backbone)
    with torch.set_grad_enabled(graph):
        batched = encode(backbone, waveforms, extra=700)
    for row, waveform in enumerate(waveforms):
        alone = encode(backbone, [waveform])
        assert alone.mask.all()
        frames = alone.mask.shape[1]
        assert int(batched.mask[row].sum()) == frames
        for together, single in zip(batched.states, alone.states, strict=True):
            torch.testing.assert_close(together[row, :frames], single[0], rtol=0, atol=1e-4)


@over_all
@pytest.mark.parametrize("garbage", [1000.0, float("nan")])
@torch.no_grad()
def test_what_stands_in_the_padding_does_not_matter(name: str, flavour: str, garbage: float) -> None:
    backbone = build(name, flavour)
    clean, dirty = (encode(backbone, clips(backbone), padding=padding, extra=500) for padding in (0.0, garbage))
    assert largest_difference(clean, dirty) == 0.0
    assert all(bool(state[dirty.mask].isfinite().all()) for state in dirty.states)


@over_all
def test_states_are_the_same_with_and_without_a_graph(name: str, flavour: str) -> None:
    """Without one a CPU packs the clips and goes through the front end in tiles; with one they are padded."""
    backbone = build(name, flavour)
    waveforms = clips(backbone)
    with_graph = encode(backbone, waveforms)
    assert with_graph.states[-1].requires_grad
    with torch.no_grad():
        assert largest_difference(with_graph, encode(backbone, waveforms)) < 2e-5
    for module in backbone.front_end():
        module.requires_grad_(False)
    assert largest_difference(with_graph, encode(backbone, waveforms)) < 2e-5


@over_all
@torch.no_grad()
def test_there_is_one_state_more_than_layers_each_of_the_hidden_size(name: str, flavour: str) -> None:
    for layers in (1, None):
        backbone = build(name, flavour, layers=layers)
        hidden = encode(backbone, clips(backbone))
        assert backbone.num_layers == len(backbone.layer_modules()) == (layers or 3)
        assert len(hidden.states) == backbone.num_layers + 1
        assert {state.shape for state in hidden.states} == {(*hidden.mask.shape, backbone.hidden_size)}


@over_all
@torch.no_grad()
def test_the_frame_mask_counts_what_frame_count_says(name: str, flavour: str) -> None:
    backbone = build(name, flavour)
    waveforms = clips(backbone)
    lengths = torch.tensor([len(waveform) for waveform in waveforms])
    mask = encode(backbone, waveforms).mask
    assert mask.dtype == torch.bool
    assert torch.equal(mask.sum(1), backbone.frame_count(lengths))
    assert int(backbone.frame_count(torch.tensor(backbone.min_samples))) == 1
    assert abs(int(mask[0].sum()) - backbone.frame_rate_hz * 1.0) <= 1


@over_all
@torch.no_grad()
def test_a_truncated_model_gives_the_same_lower_states(name: str, flavour: str) -> None:
    full, cut = build(name, flavour), build(name, flavour, layers=2)
    cut.load_state_dict(cut.adapt_state_dict(full.state_dict()))
    waveforms = clips(full)
    for state, truth in zip(encode(cut, waveforms).states, encode(full, waveforms).states, strict=False):
        assert torch.equal(state, truth)


@over_all
def test_gradients_reach_every_trainable_parameter(name: str, flavour: str) -> None:
    backbone = build(name, flavour).train()
    hidden = encode(backbone, clips(backbone))
    weight = torch.randn(hidden.states[-1].shape, generator=torch.Generator().manual_seed(2))
    (hidden.states[-1] * weight)[hidden.mask].sum().backward()
    for parameter_name, parameter in backbone.named_parameters():
        if not parameter.requires_grad:
            continue
        assert parameter.grad is not None, parameter_name
        assert bool(parameter.grad.isfinite().all()), parameter_name
        if not parameter_name.endswith(
            ("k_proj.bias", "linear_k.bias")
        ):  # the softmax takes it out: its gradient is zero
            assert float(parameter.grad.abs().max()) > 0, parameter_name


@over_all
def test_what_stands_in_the_padding_does_not_matter_for_gradients(name: str, flavour: str) -> None:
    gradients = []
    for padding in (0.0, float("nan")):
        backbone = build(name, flavour)
        hidden = encode(backbone, clips(backbone), padding=padding, extra=500)
        hidden.states[-1][hidden.mask].square().sum().backward()
        gradients.append([parameter.grad for parameter in backbone.parameters() if parameter.requires_grad])
    assert all(torch.equal(clean, dirty) for clean, dirty in zip(*gradients, strict=True))


@over_all
def test_a_frozen_front_end_gets_no_gradient_and_the_layers_do(name: str, flavour: str) -> None:
    backbone = build(name, flavour)
    frozen = [parameter for module in backbone.front_end() for parameter in module.requires_grad_(False).parameters()]
    encode(backbone, clips(backbone)).states[-1].square().sum().backward()
    assert frozen
    assert all(parameter.grad is None for parameter in frozen)
    assert all(any(p.grad is not None for p in layer.parameters()) for layer in backbone.layer_modules())


@over_all
@torch.no_grad()
def test_the_config_rebuilds_the_backbone(name: str, flavour: str) -> None:
    first = build(name, flavour, layers=None if flavour == "final norm" else 2)
    config = json.loads(json.dumps(first.config))
    second = BACKBONES[name].from_config(config).eval()
    second.load_state_dict(first.state_dict())
    assert second.config == first.config
    assert config["model_type"] == name
    waveforms = clips(first)
    assert largest_difference(encode(first, waveforms), encode(second, waveforms)) == 0.0


@over_all
@torch.no_grad()
def test_states_stay_finite_and_close_in_bfloat16_autocast(name: str, flavour: str) -> None:
    backbone = build(name, flavour)
    waveforms = clips(backbone)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        low = encode(backbone, waveforms)
    exact = encode(backbone, waveforms)
    scale = max(float(state[exact.mask].abs().max()) for state in exact.states)
    assert largest_difference(exact, low) < 0.1 * scale


@over_all
def test_dropout_acts_in_training_only(name: str, flavour: str) -> None:
    keys = ("hidden_dropout", "attention_dropout", "dropout")
    config = TINY_CONFIGS[name][flavour] | dict.fromkeys(keys, 0.5)
    backbone = BACKBONES[name].from_config(config)
    waveforms = clips(backbone)
    backbone.eval()
    assert largest_difference(encode(backbone, waveforms), encode(backbone, waveforms)) == 0.0
    backbone.train()
    assert largest_difference(encode(backbone, waveforms), encode(backbone, waveforms)) > 0.0


@over_all
def test_layerdrop_repeats_states_in_training_only(name: str, flavour: str) -> None:
    silent = dict.fromkeys(("hidden_dropout", "attention_dropout", "activation_dropout", "feat_proj_dropout"), 0.0)
    drop = {"layerdrop": 0.99, "encoder_layerdrop": 0.99}
    backbone = BACKBONES[name].from_config(TINY_CONFIGS[name][flavour] | silent | drop)
    torch.manual_seed(0)
    dropped = encode(backbone.train(), clips(backbone)).states
    assert torch.equal(dropped[2], dropped[1])
    kept = encode(backbone.eval(), clips(backbone)).states
    assert not torch.equal(kept[2], kept[1])


@over_all
def test_a_clip_of_impossible_length_is_refused_by_number(name: str, flavour: str) -> None:
    backbone = build(name, flavour)
    good = torch.zeros(backbone.min_samples + 5)
    with pytest.raises(AudioError, match=rf"Clip 1 .* at least {backbone.min_samples}"):
        encode(backbone, [good, torch.zeros(backbone.min_samples - 1)])


@over_all
def test_a_wrong_config_is_refused_with_all_its_faults(name: str, flavour: str) -> None:
    backbone_class, config = BACKBONES[name], TINY_CONFIGS[name][flavour]
    hidden, divisor, act = {
        "depthwise": ("hidden_size", {"conv_kernel_size": 4}, "num_mel_bins"),
        "whisper": ("d_model", {"encoder_attention_heads": 5}, "activation_function"),
    }.get(name, ("hidden_size", {"num_attention_heads": 5}, "hidden_act"))
    for layers in (0, 4):
        with pytest.raises(ConfigError, match=f"{layers} layers were asked .* has 3"):
            backbone_class.from_config(config, layers=layers)
    with pytest.raises(ConfigError, match=f"(?s){hidden}.*{act}"):
        backbone_class.from_config({**config, hidden: "many", act: []})
    with pytest.raises(ConfigError, match=next(iter(divisor))):
        backbone_class.from_config({**config, **divisor})
    with pytest.raises(ConfigError, match=act):
        backbone_class.from_config({**config, act: "relu"})
    with pytest.raises(ConfigError, match="model_type is 'other'"):
        backbone_class.from_config({**config, "model_type": "other"})
    backbone_class.from_config({**config, "key_of_next_year": {}})


@pytest.mark.parametrize("graph", [False, True])
def test_a_clip_beyond_a_window_has_the_states_of_its_windows_in_a_row(graph: bool) -> None:
    backbone = tiny_backbone(WIDER_WHISPER | {"max_source_positions": 25}, "whisper").eval()
    window = 25 * 320
    assert backbone.window_samples == window
    for more in (159, 160, 4000, window, window + 77):
        long, short = torch.randn(window + more, generator=torch.Generator().manual_seed(more)), torch.randn(3000)
        with torch.set_grad_enabled(graph):
            alone, together = encode(backbone, [long]), encode(backbone, [short, long], extra=300, padding=float("nan"))
        assert alone.mask.shape[1] == int(backbone.frame_count(torch.tensor(len(long)))) == together.mask[1].sum()
        parts = [encode(backbone, [part]) for part in long.split(window) if len(part) >= backbone.min_samples]
        for layer, state in enumerate(alone.states):
            expected = torch.cat([part.states[layer][0] for part in parts])
            torch.testing.assert_close(state[0], expected, rtol=0, atol=1e-5)
            torch.testing.assert_close(together.states[layer][1, : len(expected)], expected, rtol=0, atol=1e-5)
        torch.testing.assert_close(
            together.states[-1][0, :9], encode(backbone, [short]).states[-1][0], rtol=0, atol=1e-5
        )


@over_all
@pytest.mark.parametrize("graph", [False, True])
def test_the_last_state_can_be_had_alone(name: str, flavour: str, graph: bool) -> None:
    backbone = build(name, flavour)
    with torch.set_grad_enabled(graph):
        whole = encode(backbone, clips(backbone))
        backbone.last_alone = True
        alone = encode(backbone, clips(backbone))
    assert len(alone.states) == 1 and torch.equal(alone.states[0], whole.states[-1])
    assert torch.equal(alone.mask, whole.mask)
