"""The whole model: what trains, what stays frozen, and heads that start from a linear model."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

import builders.models
from emotune.batch import Batch
from emotune.errors import ConfigError
from emotune.models.backbones import BACKBONES
from emotune.models.emotion_model import EmotionModel
from emotune.schema.labels import LabelSpace, Scale
from emotune.schema.manifest import Manifest
from emotune.schema.utterance import Utterance
from emotune.training.linear import copy_into, fit_linear

CLASSES = ("anger", "happiness", "neutral")
WHISPER = {
    **builders.models.WHISPER, "encoder_layers": 3,
    "dropout": 0.5, "attention_dropout": 0.5, "activation_dropout": 0.5, "encoder_layerdrop": 0.5,
}  # fmt: skip


def wavlm(tiny: dict) -> dict:
    noisy = dict.fromkeys(("hidden_dropout", "activation_dropout", "attention_dropout", "feat_proj_dropout"), 0.5)
    return {**tiny, "num_hidden_layers": 3, **noisy, "layerdrop": 0.5}


@pytest.fixture(params=["wavlm", "whisper"])
def model(request, tiny_wavlm) -> EmotionModel:
    torch.manual_seed(0)
    config = wavlm(tiny_wavlm) if request.param == "wavlm" else WHISPER
    space = LabelSpace(CLASSES, {"arousal": Scale(1, 7)})
    return EmotionModel(BACKBONES[request.param].from_config(config), space)


def batch() -> Batch:
    waveforms = torch.randn(3, 8000, generator=torch.Generator().manual_seed(0))
    return Batch(waveforms, torch.arange(8000)[None, :] < torch.tensor([8000, 8000, 6000])[:, None])


def numbers(*modules: torch.nn.Module) -> int:
    return sum(parameter.numel() for module in modules for parameter in module.parameters())


def trainable(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)


def test_none_of_the_backbone_trains_and_mix_and_heads_always_do(model):
    model.choose_trainable(layers="none", front_end=False)
    assert trainable(model.backbone) == 0
    expected = numbers(model.layer_mix, model.pooling, model.heads["classes"], model.heads["dimensions"])
    assert trainable(model) == expected == 4 + 33 * (3 + 1)


def test_all_of_the_backbone_trains_but_for_the_front_end(model):
    whole = numbers(model.backbone)
    model.choose_trainable(layers="all", front_end=False)
    front_end = numbers(*model.backbone.front_end())
    assert front_end > 0
    assert trainable(model.backbone) == whole - front_end
    assert not any(trainable(module) for module in model.backbone.front_end())
    model.choose_trainable(layers="all", front_end=True)
    assert all(trainable(module) == numbers(module) for module in model.backbone.front_end())


def test_the_sinusoids_of_whisper_never_train():
    backbone = BACKBONES["whisper"].from_config(WHISPER)
    model = EmotionModel(backbone, LabelSpace(CLASSES))
    model.choose_trainable(layers="all", front_end=True)
    assert "embed_positions.weight" in backbone.state_dict()
    assert "embed_positions.weight" not in {name for name, p in backbone.named_parameters() if p.requires_grad}


@pytest.mark.parametrize("count", [0, 1, 3])
def test_a_number_trains_so_many_top_layers_and_nothing_below(model, count):
    model.choose_trainable(layers="all", front_end=True)
    model.choose_trainable(layers=count, front_end=False)
    layers = model.backbone.layer_modules()
    assert [trainable(layer) > 0 for layer in layers] == [False] * (3 - count) + [True] * count
    assert trainable(model.backbone) == numbers(*layers[3 - count :])


def test_impossible_choices_are_errors(model):
    with pytest.raises(ConfigError, match="4 top layers asked, the backbone has 3"):
        model.choose_trainable(layers=4, front_end=False)
    with pytest.raises(ConfigError, match=r"needs model\.backbone\.train: all"):
        model.choose_trainable(layers=1, front_end=True)


@pytest.mark.parametrize(("layers", "frozen"), [("none", 4), (0, 4), (1, 3), (2, 2)])
@torch.no_grad()
def test_what_is_frozen_has_no_dropout_in_training(model, layers, frozen):
    model.choose_trainable(layers=layers, front_end=False)
    hidden = model.eval().backbone(batch().waveforms, batch().mask)
    quiet, real = hidden.states, hidden.mask
    for seed in range(4):
        torch.manual_seed(seed)
        noisy = model.train().backbone(batch().waveforms, batch().mask).states
        for below, expected in zip(noisy[:frozen], quiet[:frozen], strict=True):
            torch.testing.assert_close(below[real], expected[real], rtol=0, atol=1e-5)
    if frozen < 4:
        assert not torch.equal(noisy[-1], quiet[-1])
    assert model.heads["classes"].training


@torch.no_grad()
def test_what_trains_has_dropout_in_training_and_none_in_evaluation(model):
    model.choose_trainable(layers="all", front_end=False)
    model.train()
    assert model.backbone.training
    assert not any(module.training for module in model.backbone.front_end())
    first, second = (model(batch()).features for _ in range(2))
    assert not torch.equal(first, second)
    model.eval()
    assert not any(module.training for module in model.modules())
    assert torch.equal(model(batch()).features, model(batch()).features)


@pytest.mark.parametrize("classes", [2, 3])
@torch.no_grad()
def test_a_linear_head_started_from_a_fitted_model_gives_the_probabilities_of_scikit_learn(tiny_wavlm, classes):
    names = CLASSES[:classes]
    generator = np.random.default_rng(0)
    features = generator.normal(3, 2, size=(60, 32))
    truth = generator.integers(classes, size=60)
    features[:, :classes] += 2 * np.eye(classes)[truth]
    rows = tuple(Utterance(f"u{n}", "x.wav", emotion=names[label]) for n, label in enumerate(truth))
    space = LabelSpace(names)
    fitted = fit_linear(features, Manifest(rows, space, None), space, inverse_regularisation=0.1)
    model = EmotionModel(BACKBONES["wavlm"].from_config(tiny_wavlm), space, dropout=0.4).eval()
    copy_into(model, [fitted])
    logits = model.heads["classes"](model.standardize(torch.tensor(features, dtype=torch.float32)))
    scaler = StandardScaler().fit(features)
    reference = LogisticRegression(C=0.1, class_weight="balanced", max_iter=2000)
    reference.fit(scaler.transform(features), truth)
    expected = reference.predict_proba(scaler.transform(features))
    np.testing.assert_allclose(torch.softmax(logits, dim=1), expected, rtol=0, atol=1e-5)


def test_a_constant_feature_keeps_a_scale_of_one(model):
    model.standardize.set(torch.ones(32), torch.zeros(32))
    assert torch.equal(model.standardize(torch.full((1, 32), 3.0)), torch.full((1, 32), 2.0))


def test_a_model_needs_something_to_predict(tiny_wavlm):
    with pytest.raises(ConfigError, match="needs classes or dimensions"):
        EmotionModel(BACKBONES["wavlm"].from_config(tiny_wavlm), LabelSpace())


def test_a_model_of_dimensions_alone_has_no_classes(tiny_wavlm):
    space = LabelSpace((), {"valence": Scale(-1, 1)})
    output = EmotionModel(BACKBONES["wavlm"].from_config(tiny_wavlm), space)(batch())
    assert "classes" not in output.heads
    assert output.heads["dimensions"].shape == (3, 1)
