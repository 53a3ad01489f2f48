"""Parts that come with another package, one of each kind, driven from a recipe, with options that are checked."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from emotune.errors import ConfigError
from emotune.evaluation.robustness.degradations import DEGRADATIONS
from emotune.metrics import METRICS

PACKAGES = Path(__file__).parents[1] / "third_party"
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


def emotune(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A command in a process that has the package."""
    paths = os.pathsep.join([str(PACKAGES), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-m", "emotune", *arguments]
    environment = {**os.environ, "PYTHONPATH": paths}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture
def recipe(tones, tiny_wavlm, tmp_path) -> Path:
    tones.write(tmp_path / "m.csv")
    recipe = {"name": "parts", "data": {"manifest": "m.csv"}, "train": {"epochs": 1}, **PARTS}
    recipe["model"] = {"backbone": {"name": "wavlm", "config": tiny_wavlm}, **PARTS["model"]}
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    return tmp_path / "recipe.yaml"


@pytest.mark.load
def test_a_model_of_parts_of_another_package_is_trained_kept_and_scored(recipe, tmp_path):
    trained = emotune(tmp_path, "train", "recipe.yaml", "-o", "run")
    assert trained.returncode == 0, trained.stderr
    kept = yaml.safe_load((tmp_path / "run" / "recipe.yaml").read_text())
    assert kept["model"]["pooling"] == PARTS["model"]["pooling"]
    assert kept["model"]["adapter"] == PARTS["model"]["adapter"]
    assert kept["loss"]["hinge"] == PARTS["loss"]["hinge"]
    assert kept["loss"]["length"] == {"weight": 0.1}
    assert kept["augmentation"]["flip"] == {"probability": None, "times": 0.5}
    config = json.loads((tmp_path / "run" / "model" / "config.json").read_text())
    assert (config["pooling"], config["join"]) == (PARTS["model"]["pooling"], "added")
    assert config["heads"] == ["classes", "length"]
    scored = emotune(tmp_path, "evaluate", "run", "--split", "development")
    assert scored.returncode == 0, scored.stderr


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("loss.hinge.margn=1", "loss.hinge.margn: Unknown key 'margn', did you mean 'margin'? Known: margin, weight."),
        ("loss.hinge.margin=0", "loss.hinge.margin: input should be greater than 0, got 0"),
        ("loss.hinj.weight=1", "loss.hinj: Unknown key 'hinj', did you mean 'hinge'?"),
        ("model.pooling.share=2", "model.pooling.share: input should be less than or equal to 1, got 2"),
        ("model.pooling.shar=1", "model.pooling.shar: Unknown key 'shar', did you mean 'share'? Known: name, share."),
        ("model.pooling.name=largst", "model.pooling.name: Unknown pooling 'largst', did you mean 'largest'?"),
        ("model.layer_mix.place=-1", "model.layer_mix.place: input should be greater than or equal to 0, got -1"),
        ("model.adapter.biases=3", "model.adapter.biases: input should be a valid boolean"),
        ("model.adapter.name=norm", "model.adapter.name: Unknown adapter 'norm', did you mean 'norms'?"),
        ("model.join=aded", "model.join: Unknown join 'aded', did you mean 'added'?"),
        ("augmentation.flip.times=x", "augmentation.flip.times: input should be a valid number"),
        ("augmentation.flip.tims=1", "Unknown key 'tims', did you mean 'times'? Known: probability, times."),
    ],
)
def test_a_fault_in_their_options_is_told_as_one_in_ours(override, said, recipe, tmp_path):
    ended = emotune(tmp_path, "train", "recipe.yaml", "--dry-run", override)
    assert ended.returncode == 2
    assert said in " ".join(ended.stderr.split())


@pytest.fixture
def recipe_of_their_encoder(tones, tmp_path) -> Path:
    tones.write(tmp_path / "m.csv")
    recipe = {"name": "ladder", "data": {"manifest": "m.csv"}, "train": {"epochs": 1}}
    recipe["model"] = {"backbone": {"name": "ladder", "config": {"size": 8, "rungs": 3}}}
    (tmp_path / "ladder.yaml").write_text(yaml.safe_dump(recipe))
    return tmp_path / "ladder.yaml"


@pytest.mark.load
def test_an_encoder_of_another_package_is_trained_and_tested_under_its_degradation(recipe_of_their_encoder, tmp_path):
    trained = emotune(tmp_path, "train", "ladder.yaml", "-o", "run")
    assert trained.returncode == 0, trained.stderr
    config = json.loads((tmp_path / "run" / "model" / "config.json").read_text())
    assert config["backbone"] == {"model_type": "ladder", "size": 8, "rungs": 3}
    scored = emotune(tmp_path, "evaluate", "run", "--split", "development", "--robustness")
    assert scored.returncode == 0, scored.stderr
    robustness = json.loads((tmp_path / "run" / "development" / "robustness.json").read_text())
    assert "played backwards" in json.dumps(robustness)


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("model.backbone.name=lader", "model.backbone.name: Unknown backbone 'lader', did you mean 'ladder'?"),
        pytest.param(
            "model.backbone.config.size=many", "size is 'many', expected a whole number from 1", marks=pytest.mark.load
        ),
        (
            "model.backbone.config.rung=4",
            "Unknown config key 'rung', did you mean 'rungs'? Known: model_type, rungs, size.",
        ),
        pytest.param("model.backbone.config.size=7", "size is 7, expected an even number", marks=pytest.mark.load),
        pytest.param(
            "model.backbone.layers=4",
            "4 layers were asked of a ladder model that has 3. Choose 1 to 3",
            marks=pytest.mark.load,
        ),
    ],
)
def test_a_fault_in_what_their_encoder_is_given_is_told_as_one_in_ours(
    override, said, recipe_of_their_encoder, tmp_path
):
    ended = emotune(tmp_path, "train", "ladder.yaml", "--dry-run", override)
    assert ended.returncode == 2, ended.stderr
    assert said in " ".join(ended.stderr.split())
    assert "Traceback" not in ended.stderr


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
    ended = emotune(tmp_path, "explain", "loss.hinge")
    assert ended.returncode == 0, ended.stderr
    assert "loss.hinge.margin: number above 0; default 1.0; between the score of the true class" in ended.stdout
