"""Linear layers in whole numbers of eight bits: near the exact ones, and the same alone and in a batch."""

import copy

import pytest
import torch
from torch import nn

from builders.models import tiny_backbone
from emotune.errors import ConfigError
from emotune.models.backbones import eight_bits
from emotune.models.backbones.eight_bits import (
    EightBitLinear,
    EightBitPositions,
    has_eight_bits,
    to_eight_bits,
)

needs_vnni = pytest.mark.skipif(not has_eight_bits(), reason="the processor has no VNNI instructions")
SHAPE = {"hidden_size": 64, "num_attention_heads": 2, "intermediate_size": 128}


def rounded(linear: nn.Linear, rows: torch.Tensor) -> torch.Tensor:
    """The same rounding in exact arithmetic."""
    scales, weights = rows.abs().amax(dim=1, keepdim=True) / 127, linear.weight.abs().amax(dim=1, keepdim=True) / 127
    whole = torch.floor(rows.double() / scales + 0.5) @ (linear.weight.double() / weights).round().T
    return (whole * scales * weights.T + linear.bias).float()


@needs_vnni
@torch.no_grad()
def test_a_product_is_that_of_the_rounded_numbers_with_a_scale_for_each_row():
    torch.manual_seed(0)
    linear = nn.Linear(96, 80)
    rows = torch.randn(5, 96) * torch.tensor([1e-3, 1.0, 50.0, 1.0, 0.0])[:, None]
    found = EightBitLinear(linear.weight, linear.bias)(rows)
    torch.testing.assert_close(found[:4], rounded(linear, rows[:4]), rtol=1e-3, atol=2e-3)
    torch.testing.assert_close(found[4], linear.bias)


@needs_vnni
@torch.no_grad()
def test_a_loud_row_does_not_change_a_quiet_one():
    torch.manual_seed(0)
    linear = nn.Linear(64, 64)
    layer, quiet = EightBitLinear(linear.weight, linear.bias), torch.randn(1, 64) * 1e-3
    beside_a_loud_one = layer(torch.cat([quiet, torch.full((1, 64), 1e4)]))[:1]
    assert torch.equal(beside_a_loud_one, layer(quiet))


@needs_vnni
@pytest.mark.parametrize(("largest", "finer"), [(0.6, 1.05), (3.0, 1.3), (1e3, 1.3)])
@torch.no_grad()
def test_outputs_of_gelu_have_finer_steps_than_other_inputs(largest, finer):
    torch.manual_seed(0)
    rows = nn.functional.gelu(torch.randn(20, 256) * 3)
    rows = torch.where(rows > 0, rows * largest / rows.amax(dim=1, keepdim=True), rows)
    weight = torch.randint(-127, 128, (64, 256)).float()  # its own rounding changes nothing
    weight[:, 0] = 127
    fine, coarse = (EightBitLinear(weight, None, after_gelu=known)(rows) - rows @ weight.T for known in (True, False))
    assert finer * fine.norm() < coarse.norm()


@needs_vnni
@pytest.mark.parametrize("taps", [128, 19])
@torch.no_grad()
def test_positions_are_those_of_the_convolution_and_a_loud_clip_does_not_change_a_quiet_one(taps):
    torch.manual_seed(0)
    convolution = nn.Conv1d(64, 64, taps, padding=taps // 2, groups=4)
    positions = EightBitPositions(convolution.weight, convolution.bias, 4)
    clips = torch.randn(2, 50, 64) * torch.tensor([1.0, 1e4])[:, None, None]
    found = positions(clips)
    expected = convolution(clips.transpose(1, 2))[:, :, :50].transpose(1, 2)
    assert 0 < (found - expected).norm() < 0.02 * expected.norm()
    assert torch.equal(found[:1], positions(clips[:1]))


@needs_vnni
@pytest.mark.parametrize("kind", ["wavlm", "wav2vec2", "whisper"])
@torch.no_grad()
def test_an_encoder_stays_near_and_a_clip_is_the_same_alone_and_in_a_batch(tiny_wavlm, kind):
    config = {"d_model": 64, "encoder_attention_heads": 2, "encoder_ffn_dim": 128, "encoder_layers": 2}
    if kind != "whisper":
        config = {key: value for key, value in tiny_wavlm.items() if kind == "wavlm" or "bucket" not in key}
        config = config | SHAPE | {"conv_dim": [64] * len(tiny_wavlm["conv_dim"])}
    exact = tiny_backbone(config, kind).eval()
    coarse = copy.deepcopy(exact)
    to_eight_bits(coarse)
    assert any(isinstance(module, EightBitLinear) for module in coarse.modules())
    waveforms = torch.randn(2, 16000)
    waveforms[1] *= 20
    mask = torch.ones_like(waveforms, dtype=torch.bool)
    mask[0, 9000:] = False
    together = coarse(waveforms, mask)
    alone = coarse(waveforms[:1, :9000], mask[:1, :9000]).states[-1][0]
    scale = alone.abs().max()
    assert (together.states[-1][0, : len(alone)] - alone).abs().max() < 1e-4 * scale
    expected = exact(waveforms[:1, :9000], mask[:1, :9000]).states[-1][0]
    assert 0 < (alone - expected).norm() < 0.1 * expected.norm()


@needs_vnni
@pytest.mark.parametrize(("width", "exact"), [(64, True), (1024, False)])
@torch.no_grad()
def test_narrow_encoders_of_whisper_keep_values_and_outputs_of_the_attention_exact(width, exact):
    sizes = {"d_model": width, "encoder_attention_heads": 2, "encoder_ffn_dim": 128, "encoder_layers": 1}
    encoder = tiny_backbone(sizes, "whisper").eval()
    to_eight_bits(encoder)
    kept = {name.rpartition(".")[2] for name, module in encoder.named_modules() if type(module) is nn.Linear}
    assert kept == ({"v_proj", "out_proj"} if exact else set())


def test_a_processor_without_the_instructions_is_told_so(tiny_wavlm, monkeypatch):
    monkeypatch.setattr(eight_bits, "has_eight_bits", lambda: False)
    with pytest.raises(ConfigError, match="needs a processor with VNNI"):
        to_eight_bits(nn.Linear(64, 64))
