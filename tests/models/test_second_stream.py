"""Two encoders in one model: what the second adds, what it hears, how it trains, is stored and exported."""

import json

import numpy as np
import pytest
import torch

from builders.models import TINY, WAVLM, WHISPER, tiny_backbone
from builders.recipes import sections_over
from emotune.audio.preprocessing import Preprocessing
from emotune.batch import pad
from emotune.config.recipe import Recipe
from emotune.errors import ConfigError, ModelError
from emotune.inference import load
from emotune.models.emotion_model import EmotionModel
from emotune.models.second_stream import SecondStream, second_normalizes
from emotune.models.store import load_model, save_model
from emotune.schema.labels import LabelSpace
from emotune.training.build import build_experiment
from emotune.training.fine_tune import train_run
from emotune.training.manifest import build_manifest
from emotune.training.parameters import count_parameters, parameter_groups
from emotune.training.probe import probe_run

SPACE = LabelSpace(("anger", "neutral"))
CLIPS = [np.random.default_rng(n).standard_normal(length).astype(np.float32) for n, length in enumerate((9000, 5000))]


def model_of(**options) -> EmotionModel:
    second = SecondStream(tiny_backbone(WAVLM, seed=1), size=6, **options)
    model = EmotionModel(tiny_backbone(WHISPER, "whisper"), SPACE, pooling="mean", layer_mix="last", second=second)
    return model.eval()


@torch.no_grad()
def test_its_features_stand_beside_those_of_the_first_and_padding_changes_nothing():
    model = model_of(normalizes=True, layer_mix="last")
    batch = pad(CLIPS)
    features = model(batch).features
    for clip, found in zip(CLIPS, features, strict=True):
        samples = torch.from_numpy(clip)[None]
        heard = (samples - samples.mean()) / torch.sqrt(samples.var(correction=0) + 1e-7)
        real = torch.ones_like(samples, dtype=torch.bool)
        first = model.backbone(samples, real).states[-1].mean(dim=1)
        second = model.second.backbone(heard, real).states[-1].mean(dim=1)
        expected = torch.cat([first, model.second.projection(second).clamp(min=0)], dim=1)[0]
        torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


def test_the_one_that_hears_clips_as_they_are_is_the_first():
    plain, normal = (tiny_backbone(TINY[name], "wavlm") for name in ("wavlm", "wavlm, layer norm"))
    plain.normalize, normal.normalize = "none", "clip"
    assert [second_normalizes(*pair) for pair in ((plain, plain), (normal, normal), (plain, normal))] == [
        False,
        False,
        True,
    ]
    with pytest.raises(ConfigError, match="Let them change places"):
        second_normalizes(normal, plain)


def test_it_is_stored_with_the_model_and_a_clip_that_either_cannot_hear_is_refused(tmp_path):
    model = model_of(normalizes=True)
    shortest = max(encoder.min_samples for encoder in model.encoders)
    save_model(tmp_path, model, Preprocessing("none", max_duration_s=5.0, min_samples=shortest))
    found = load_model(tmp_path).model
    with torch.no_grad():
        assert torch.equal(found(pad(CLIPS)).heads["classes"], model(pad(CLIPS)).heads["classes"])
    config = json.loads((tmp_path / "config.json").read_text())
    del config["second"]["normalizes"]
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match="config of the second stream lacks normalizes"):
        load_model(tmp_path)


def test_varan_has_no_place_for_it():
    second = SecondStream(tiny_backbone(WAVLM), size=4)
    with pytest.raises(ConfigError, match="heads for layers of one encoder"):
        EmotionModel(tiny_backbone(WAVLM), SPACE, layer_mix="varan", second=second)


@pytest.fixture
def recipe(tones):
    def build(second: dict | None = None, **train) -> Recipe:
        stream = {"backbone": {"name": "wavlm", "config": dict(WAVLM), "train": "none"}, "size": 6} | (second or {})
        sections = sections_over(tones.root / "manifest.csv", train={"epochs": 2, "encoder_lr": 0.08, **train})
        whisper = {"name": "whisper", "config": dict(WHISPER), "train": "none"}
        sections["model"] = {"backbone": whisper, "second": stream}
        return Recipe.model_validate(sections)

    return build


def test_each_encoder_trains_as_its_own_section_says(recipe):
    chosen = recipe({"backbone": {"name": "wavlm", "config": dict(WAVLM), "train": 1}}, layer_decay=0.5)
    model = build_experiment(chosen, build_manifest(chosen)).model
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    rates = {names[id(p)]: group["lr"] for group in parameter_groups(model, chosen.train) for p in group["params"]}
    of_encoders = {name: rate for name, rate in rates.items() if "backbone" in name}
    assert of_encoders and all(name.startswith("second.backbone.encoder.layers.1.") for name in of_encoders)
    assert set(of_encoders.values()) == {0.08}
    assert rates["second.projection.weight"] == chosen.train.head_lr
    parts = count_parameters(model)["trainable_by_part"]
    assert parts["encoder"] == sum(p.numel() for p in model.second.backbone.layer_modules()[1].parameters())
    model.train()
    assert not model.backbone.training and not model.second.backbone.layer_modules()[0].training
    assert model.second.backbone.layer_modules()[1].training
    with pytest.raises(ConfigError, match=r"model\.second\.backbone\.train: 3 top layers asked"):
        wrong = recipe({"backbone": {"name": "wavlm", "config": dict(WAVLM), "train": 3}})
        build_experiment(wrong, build_manifest(wrong))


def test_a_probe_learns_from_one_encoder(recipe, tmp_path):
    with pytest.raises(ConfigError, match=r"one encoder: leave model\.second out"):
        probe_run(recipe(), tmp_path / "probe")


@pytest.mark.load
def test_a_run_of_two_frozen_encoders_keeps_what_both_give_and_predicts_what_it_told(recipe, tones, tmp_path):
    evaluation = train_run(recipe(start_from_probe=True), tmp_path / "run")
    assert evaluation.scored == 8
    model = load(tmp_path / "run")
    assert len(model.predict_manifest(tones.split("development")).rows) == 8
    assert "beside it wavlm" in (tmp_path / "run" / "model" / "README.md").read_text()


@pytest.mark.load
@pytest.mark.parametrize("pooling", ["mean", "covariance"])
def test_two_encoders_export_together(tmp_path, pooling):
    from emotune.export.export_model import LARGEST_DIFFERENCE, export_model

    second = SecondStream(tiny_backbone(TINY["wavlm"], seed=1), size=6, normalizes=True)
    model = EmotionModel(tiny_backbone(TINY["whisper"], "whisper"), SPACE, pooling=pooling, second=second)
    shortest = max(encoder.min_samples for encoder in model.encoders)
    save_model(tmp_path / "model", model, Preprocessing("none", max_duration_s=3.0, min_samples=shortest))
    parity = export_model(tmp_path / "model", tmp_path / "out").parity
    assert max(parity.probabilities, parity.batch) < LARGEST_DIFFERENCE
