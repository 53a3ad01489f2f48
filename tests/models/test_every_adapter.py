"""What every adapter of the table keeps to, on every backbone; a new entry is tested at once."""

import copy
from pathlib import Path

import pytest
import torch

from builders.models import SEVEN_CONVOLUTIONS, SHAPES, tiny_backbone
from emotune.audio.preprocessing import Preprocessing
from emotune.batch import Batch, pad
from emotune.errors import ConfigError
from emotune.models.adapters import ADAPTERS
from emotune.models.adapters.peft import METHODS
from emotune.models.backbones import BACKBONES
from emotune.models.emotion_model import EmotionModel
from emotune.models.store import load_model, save_model
from emotune.schema.labels import LabelSpace

CONFIGS = {name: SHAPES.get(name, SEVEN_CONVOLUTIONS) for name in BACKBONES}
ATTENTION = {name: ["q_proj", "k_proj", "v_proj", "out_proj"] for name in BACKBONES} | {
    "depthwise": [],
    "emotion2vec": ["qkv", "proj"],
    "wav2vec2-bert": ["linear_q", "linear_k", "linear_v", "linear_out"],
}
ENDS = {
    name: ["fc1", "fc2"] if name in ("emotion2vec", "whisper") else ["intermediate_dense", "output_dense"]
    for name in BACKBONES
}
SPACE = LabelSpace(("anger", "neutral"))
TRAINED: dict[str, Path] = {}
"""Backbone -> a model that was trained from it, front end aside, for adapters that merge one."""


@pytest.fixture(scope="module", autouse=True)
def trained(tmp_path_factory):
    for name, config in CONFIGS.items():
        encoder = tiny_backbone(config, name)
        front_end = {id(parameter) for module in encoder.front_end() for parameter in module.parameters()}
        generator = torch.Generator().manual_seed(3)
        with torch.no_grad():
            for parameter in encoder.parameters():
                if id(parameter) not in front_end:
                    parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
        TRAINED[name] = tmp_path_factory.mktemp("trained") / "model"
        preprocessing = Preprocessing(encoder.normalize, min_samples=encoder.min_samples)
        save_model(TRAINED[name], EmotionModel(encoder, SPACE), preprocessing)


def options(adapter: str, backbone: str) -> dict:
    if adapter == "peft":
        pytest.importorskip("peft")
    return {
        "task_vectors": {"name": "task_vectors", "models": [str(TRAINED[backbone])], "initial": 0.0},
        "bitfit": {"name": "bitfit"},
        "bottleneck": {
            "name": "bottleneck",
            "size": 32,
            "after": list(tiny_backbone(CONFIGS[backbone], backbone).sublayer_ends),
        },
        "peft": {"name": "peft", "rank": 3, "alpha": 6.0, "targets": ATTENTION[backbone] + ENDS[backbone]},
        "lora": {"name": "lora", "rank": 3, "alpha": 6.0, "targets": ATTENTION[backbone] + ENDS[backbone]},
    }[adapter]


def model_with(adapter: dict | None, backbone: str) -> EmotionModel:
    encoder = tiny_backbone(CONFIGS[backbone], backbone)
    torch.manual_seed(1)
    return EmotionModel(encoder, SPACE, adapter=adapter).eval()


def clips() -> Batch:
    generator = torch.Generator().manual_seed(2)
    return pad([torch.randn(samples, generator=generator).numpy() for samples in (8000, 5000, 3000)])


def stirred(model: EmotionModel) -> EmotionModel:
    """The same model with its adapter's parameters moved away from their start."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name in model.adapter_parameters:
                parameter.add_(0.2 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(len(name))))
    return model


over_all = pytest.mark.parametrize(
    ("adapter", "backbone"), [(adapter, backbone) for adapter in ADAPTERS for backbone in BACKBONES]
)


@over_all
@torch.no_grad()
def test_a_new_adapter_changes_nothing_and_a_moved_one_does(adapter, backbone):
    plain = model_with(None, backbone)(clips()).features
    model = model_with(options(adapter, backbone), backbone)
    torch.testing.assert_close(model(clips()).features, plain, rtol=0, atol=2e-5)
    assert (stirred(model)(clips()).features - plain).abs().max() > 1e-3


@over_all
def test_the_adapter_trains_and_the_encoder_does_not(adapter, backbone):
    model = model_with(options(adapter, backbone), backbone)
    model.choose_trainable(layers="all", front_end=False)
    stirred(model).train()
    model(clips()).features.square().sum().backward()
    of_encoder = {name: p for name, p in model.named_parameters() if name.startswith("backbone.")}
    assert model.adapter_parameters
    assert {name for name, parameter in of_encoder.items() if parameter.requires_grad} == model.adapter_parameters
    for name, parameter in of_encoder.items():
        if name not in model.adapter_parameters:
            assert parameter.grad is None, name
        elif not name.endswith(("k_proj.bias", "linear_k.bias")):  # the softmax takes it out
            assert parameter.grad is not None and parameter.grad.any(), name


@over_all
@torch.no_grad()
def test_a_clip_gives_the_same_alone_and_in_a_batch(adapter, backbone):
    model, batch = stirred(model_with(options(adapter, backbone), backbone)), clips()
    together = model(batch).features
    for row, length in enumerate(batch.mask.sum(dim=1).tolist()):
        alone = model(Batch(batch.waveforms[row : row + 1, :length], batch.mask[row : row + 1, :length])).features
        torch.testing.assert_close(together[row], alone[0], rtol=1e-4, atol=1e-4)


@over_all
@torch.no_grad()
def test_what_is_kept_predicts_as_what_was_trained(adapter, backbone, tmp_path):
    model, batch = stirred(model_with(options(adapter, backbone), backbone)), clips()
    trained = model(batch).heads["classes"]
    model.merge_adapter()
    torch.testing.assert_close(model(batch).heads["classes"], trained, rtol=0, atol=2e-5)
    assert (model.options["adapter"] is None) is (adapter != "bottleneck")
    encoder = model.backbone
    save_model(tmp_path, model, Preprocessing(encoder.normalize, min_samples=encoder.min_samples))
    torch.testing.assert_close(load_model(tmp_path).model(batch).heads["classes"], trained, rtol=0, atol=2e-5)
    if adapter in ("lora", "peft", "task_vectors"):
        plain = model_with(None, backbone)
        assert model.state_dict().keys() == plain.state_dict().keys()


@over_all
def test_only_the_top_layers_get_it_where_that_is_asked(adapter, backbone):
    model = model_with(options(adapter, backbone) | {"layers": 1}, backbone)
    layers = model.backbone.layer_modules()
    last = {id(parameter) for parameter in layers[-1].parameters()}
    named = dict(model.named_parameters())
    assert model.adapter_parameters
    assert all(id(named[name]) in last for name in model.adapter_parameters)


@over_all
def test_a_copy_keeps_its_adapter(adapter, backbone):
    """As the moving average of the weights makes one."""
    model = model_with(options(adapter, backbone), backbone)
    twin = copy.deepcopy(model)
    stirred(twin)
    twin.merge_adapter()
    assert not torch.equal(twin(clips()).features, model(clips()).features)


@pytest.mark.parametrize(
    ("adapter", "message"),
    [
        ({"name": "lora", "targets": ["q_prok"]}, "Unknown linear layer 'q_prok', did you mean 'q_proj'"),
        ({"name": "lora", "rank": 0}, "rank is 0, expected a whole number from 1"),
        ({"name": "bottleneck", "after": ["mouth"]}, "Unknown sublayer 'mouth'"),
        ({"name": "bottleneck", "size": 0}, "size is 0"),
        ({"name": "peft", "method": "magic"}, "method is 'magic', expected one of dora, rslora, ia3"),
        ({"name": "prefix"}, "Unknown adapter 'prefix'"),
        ({"name": "lora", "layers": 9}, "9 top layers"),
    ],
)
def test_what_cannot_be_is_an_error(adapter, message):
    with pytest.raises(ConfigError, match=message):
        model_with(adapter, "wavlm")


@pytest.mark.parametrize("method", METHODS)
def test_every_method_of_peft_acts_and_is_kept(method):
    pytest.importorskip("peft")
    options = {"name": "peft", "method": method, "rank": 2, "targets": ["q_proj", "output_dense"]}
    model = model_with(options, "wavlm")
    model.check_adapter()
    plain = model(clips()).features.detach()
    trained = stirred(model)(clips()).features.detach()
    assert (trained - plain).abs().max() > 1e-3
    model.merge_adapter()
    torch.testing.assert_close(model(clips()).features.detach(), trained, rtol=0, atol=2e-5)


def test_an_adapter_without_effect_is_an_error():
    model = model_with({"name": "lora", "targets": ["fc2", "q_proj"]}, "whisper")
    model.check_adapter()
    last = model.backbone.layer_modules()[-1]
    last.forward = lambda hidden, mask, reads=last.fc1: hidden * reads.weight.sum()
    with pytest.raises(ConfigError, match=r"2 of 6 adapters have no effect .* layers\.2\.\S+\. Choose other targets"):
        model.check_adapter()
    assert not any(parameter.grad is not None for parameter in model.parameters())
