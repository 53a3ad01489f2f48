"""Parts that come with another package, one of each kind, driven from a recipe, with options that are checked."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

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


def test_their_keys_are_explained(tmp_path):
    ended = emotune(tmp_path, "explain", "loss.hinge")
    assert ended.returncode == 0, ended.stderr
    assert "loss.hinge.margin: number above 0; default 1.0; between the score of the true class" in ended.stdout
