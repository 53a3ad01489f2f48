"""Adapters against published parameter counts, against transformers, which ignores them, and against their formulas."""

import pytest
import torch
import transformers
from torch import nn

from emotune.models.adapters import ADAPTERS
from emotune.models.adapters.bottleneck import BottleneckLinear
from emotune.models.adapters.lora import LoRALinear
from emotune.models.backbones import BACKBONES
from emotune.models.backbones.checkpoint import load_weights
from emotune.models.backbones.family import LARGE_SHAPE

SMALL = {
    "hidden_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 96,
    "num_conv_pos_embedding_groups": 4,
    "conv_dim": [16] * 7,
}
FFN = ["intermediate_dense", "output_dense"]


@pytest.mark.parametrize(
    ("config", "name", "options", "published"),
    [
        ({}, "lora", {"rank": 16, "targets": FFN}, 1_474_560),
        (LARGE_SHAPE, "lora", {"rank": 16, "targets": FFN}, 3_932_160),
        ({}, "bottleneck", {"size": 128}, 2_370_048),
    ],
    ids=["LoRA Base+", "LoRA Large", "bottleneck Base+"],
)
def test_trained_parameters_are_as_many_as_published(config, name, options, published):
    """PEFT-SER, arXiv 2306.05350."""
    with torch.device("meta"):
        backbone = BACKBONES["wavlm"].from_config(config)
        inserted = ADAPTERS[name](backbone, backbone.layer_modules(), **options)
    assert sum(parameter.numel() for parameter in inserted.trained) == published


class PlainLoRA(nn.Linear):
    """LoRA as any library inserts it: a linear layer whose forward adds the change."""

    def __init__(self, base: nn.Linear) -> None:
        super().__init__(base.in_features, base.out_features)
        self.weight, self.bias = base.weight, base.bias
        self.a = nn.Parameter(torch.randn(4, base.in_features))
        self.b = nn.Parameter(torch.randn(base.out_features, 4))

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return super().forward(input) + input @ self.a.T @ self.b.T


def test_lora_on_the_attention_acts_in_our_wavlm_and_not_in_that_of_transformers():
    torch.manual_seed(0)
    theirs = transformers.WavLMModel(transformers.WavLMConfig(**SMALL)).eval()
    ours = BACKBONES["wavlm"].from_config(SMALL).eval()
    load_weights(ours, theirs.state_dict(), source="transformers")
    waveforms = torch.randn(1, 6000)
    mask = torch.ones_like(waveforms, dtype=torch.bool)
    before = theirs(waveforms).last_hidden_state, ours(waveforms, mask).states[-1]
    theirs_adapted = []
    for layer in theirs.encoder.layers:
        for name in ("q_proj", "k_proj", "v_proj", "out_proj"):
            adapted = PlainLoRA(getattr(layer.attention, name))
            setattr(layer.attention, name, adapted)
            theirs_adapted.append(adapted)
    inserted = ADAPTERS["lora"](ours, ours.layer_modules(), targets=["q_proj", "k_proj", "v_proj", "out_proj"])
    with torch.no_grad():
        for parameter in inserted.outputs.values():
            parameter.normal_()
    after = theirs(waveforms).last_hidden_state, ours(waveforms, mask).states[-1]
    for output in after:
        output.square().sum().backward()
    assert torch.equal(before[0], after[0])
    assert all(adapted.b.grad is None or not adapted.b.grad.any() for adapted in theirs_adapted)
    assert (before[1] - after[1]).abs().max() > 0.01
    assert all(parameter.grad.norm() > 0 for parameter in inserted.trained)


def test_lora_is_its_formula():
    torch.manual_seed(0)
    base = nn.Linear(6, 4)
    lora = LoRALinear(base, rank=2, alpha=3.0, dropout=0.0)
    nn.init.normal_(lora.lora_b)
    x = torch.randn(5, 6)
    expected = x @ (base.weight + 1.5 * lora.lora_b @ lora.lora_a).T + base.bias
    torch.testing.assert_close(lora(x), expected)
    torch.testing.assert_close(lora.merged()(x), expected)
    assert type(lora.merged()) is nn.Linear


def test_a_bottleneck_is_its_formula():
    torch.manual_seed(0)
    base = nn.Linear(6, 4)
    adapted = BottleneckLinear(base, size=3)
    x = torch.randn(5, 6)
    torch.testing.assert_close(adapted(x), base(x))
    nn.init.normal_(adapted.up.weight)
    nn.init.normal_(adapted.up.bias)
    h = base(x)
    inner = (h @ adapted.down.weight.T + adapted.down.bias).clamp(min=0)
    torch.testing.assert_close(adapted(x), h + inner @ adapted.up.weight.T + adapted.up.bias)
