"""Parts that come with another package, one of each kind, driven from a recipe, with options that are checked."""

import json
from pathlib import Path

import numpy as np
import pytest
import yaml

from builders.command import Ended
from builders.third_party import PACKAGES, with_packages
from emotune.errors import ConfigError
from emotune.evaluation.robustness.degradations import DEGRADATIONS
from emotune.metrics import METRICS

PARTS = {
    "model": {
        "pooling": {"name": "largest", "share": 0.25},
        "layer_mix": {"name": "middle", "place": 1.0},
        "adapter": {"name": "norms", "biases": False},
        "join": "added",
        "conditions": {"gender": {"size": 4}},
    },
    "augmentation": {"flip": {"times": 0.5}},
    "loss": {"cross_entropy": {"weight": 0}, "hinge": {"weight": 1, "margin": 0.5}, "length": {"weight": 0.1}},
}

FAULTS = {
    "loss.hinge.margn=1": "loss.hinge.margn: Unknown key 'margn', did you mean 'margin'? Known: margin, weight.",
    "loss.hinge.margin=0": "loss.hinge.margin: input should be greater than 0, got 0",
    "loss.hinj.weight=1": "loss.hinj: Unknown key 'hinj', did you mean 'hinge'?",
    "model.pooling.share=2": "model.pooling.share: input should be less than or equal to 1, got 2",
    "model.pooling.shar=1": "model.pooling.shar: Unknown key 'shar', did you mean 'share'? Known: name, share.",
    "model.pooling.name=largst": "model.pooling.name: Unknown pooling 'largst', did you mean 'largest'?",
    "model.layer_mix.place=-1": "model.layer_mix.place: input should be greater than or equal to 0, got -1",
    "model.adapter.biases=3": "model.adapter.biases: input should be a valid boolean",
    "model.adapter.name=norm": "model.adapter.name: Unknown adapter 'norm', did you mean 'norms'?",
    "model.join=aded": "model.join: Unknown join 'aded', did you mean 'added'?",
    "augmentation.flip.times=x": "augmentation.flip.times: input should be a valid number",
    "augmentation.flip.tims=1": "Unknown key 'tims', did you mean 'times'? Known: probability, times.",
}
"""Override -> what is said of it."""
FAULTS_OF_ENCODER = {
    "model.backbone.name=lader": "model.backbone.name: Unknown backbone 'lader', did you mean 'ladder'?",
    "model.backbone.config.rung=4": "Unknown config key 'rung', did you mean 'rungs'? Known: model_type, rungs, size.",
}
FAULTS_OF_BUILDING = {
    "model.backbone.config.size=many": "size is 'many', expected a whole number from 1",
    "model.backbone.config.size=7": "size is 7, expected an even number",
    "model.backbone.layers=4": "4 layers were asked of a ladder model that has 3. Choose 1 to 3",
}


def told_of(recipe: Path, faults: dict[str, str]) -> dict[str, Ended]:
    """Answers to a dry run with each of the faults, all in one process."""
    dry = ["train", recipe.name, "--dry-run"]
    return dict(zip(faults, with_packages(recipe.parent, *([*dry, override] for override in faults)), strict=True))


@pytest.fixture(scope="module")
def recipe(tones, tiny_wavlm, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("parts")
    tones.write(folder / "m.csv")
    recipe = {"name": "parts", "data": {"manifest": "m.csv"}, "train": {"epochs": 1}, **PARTS}
    recipe["model"] = {"backbone": {"name": "wavlm", "config": tiny_wavlm}, **PARTS["model"]}
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    return folder / "recipe.yaml"


@pytest.mark.load
def test_a_model_of_parts_of_another_package_is_trained_kept_and_scored(recipe):
    folder = recipe.parent
    evaluate = ["evaluate", "run", "--split", "development"]
    for ended in with_packages(folder, ["train", "recipe.yaml", "-o", "run"], evaluate):
        assert ended.code == 0, ended.err
    kept = yaml.safe_load((folder / "run" / "recipe.yaml").read_text())
    assert kept["model"]["pooling"] == PARTS["model"]["pooling"]
    assert kept["model"]["adapter"] == PARTS["model"]["adapter"]
    assert kept["loss"]["hinge"] == PARTS["loss"]["hinge"]
    assert kept["loss"]["length"] == {"weight": 0.1}
    assert kept["augmentation"]["flip"] == {"probability": None, "times": 0.5}
    config = json.loads((folder / "run" / "model" / "config.json").read_text())
    assert (config["pooling"], config["join"]) == (PARTS["model"]["pooling"], "added")
    assert config["heads"] == ["classes", "length"]


@pytest.fixture(scope="module")
def told(recipe) -> dict[str, Ended]:
    return told_of(recipe, FAULTS)


@pytest.mark.parametrize("override", FAULTS)
def test_a_fault_in_their_options_is_told_as_one_in_ours(override, told):
    ended = told[override]
    assert ended.code == 2
    assert FAULTS[override] in " ".join(ended.err.split())


@pytest.fixture(scope="module")
def recipe_of_their_encoder(tones, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("ladder")
    tones.write(folder / "m.csv")
    recipe = {"name": "ladder", "data": {"manifest": "m.csv"}, "train": {"epochs": 1}}
    recipe["model"] = {"backbone": {"name": "ladder", "config": {"size": 8, "rungs": 3}}}
    (folder / "ladder.yaml").write_text(yaml.safe_dump(recipe))
    return folder / "ladder.yaml"


@pytest.mark.load
def test_an_encoder_of_another_package_is_trained_and_tested_under_its_degradation(recipe_of_their_encoder):
    folder = recipe_of_their_encoder.parent
    evaluate = ["evaluate", "run", "--split", "development", "--robustness"]
    for ended in with_packages(folder, ["train", "ladder.yaml", "-o", "run"], evaluate):
        assert ended.code == 0, ended.err
    config = json.loads((folder / "run" / "model" / "config.json").read_text())
    assert config["backbone"] == {"model_type": "ladder", "size": 8, "rungs": 3}
    robustness = json.loads((folder / "run" / "development" / "robustness.json").read_text())
    assert "played backwards" in json.dumps(robustness)


@pytest.mark.parametrize("faults", [FAULTS_OF_ENCODER, pytest.param(FAULTS_OF_BUILDING, marks=pytest.mark.load)])
def test_a_fault_in_what_their_encoder_is_given_is_told_as_one_in_ours(faults, recipe_of_their_encoder):
    for override, ended in told_of(recipe_of_their_encoder, faults).items():
        assert ended.code == 2, ended.err
        assert faults[override] in " ".join(ended.err.split())
        assert "Traceback" not in ended.err


@pytest.fixture
def their_figures(monkeypatch) -> None:
    monkeypatch.syspath_prepend(str(PACKAGES))


def test_a_metric_of_another_package_answers_by_its_name(their_figures):
    assert METRICS["largest_error"](np.array([0.0, 1.0]), np.array([0.25, 0.25])) == 0.75
    with pytest.raises(ConfigError, match="Unknown metric 'largest_eror', did you mean 'largest_error'"):
        METRICS["largest_eror"]


def test_a_degradation_of_another_package_changes_a_clip(their_figures):
    backwards = DEGRADATIONS["backwards"]
    np.testing.assert_array_equal(backwards.change(np.arange(3.0), np.random.default_rng(0)), [2.0, 1.0, 0.0])
    with pytest.raises(ConfigError, match="Unknown degradation 'backward', did you mean 'backwards'"):
        DEGRADATIONS["backward"]


def test_their_keys_are_explained(tmp_path):
    (ended,) = with_packages(tmp_path, ["explain", "loss.hinge"])
    assert ended.code == 0, ended.err
    assert "loss.hinge.margin: number above 0; default 1.0; between the score of the true class" in ended.out
