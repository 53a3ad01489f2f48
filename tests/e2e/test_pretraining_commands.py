"""`emotune train` of a recipe with a task: alone, in the folds of a protocol, and as a step of a study."""

import json

import pytest
import yaml

from builders.models import WAVLM
from builders.recipes import THREE_FOLDS, write_recipe
from emotune.schema.manifest import Manifest

FOUR_LAYERS = {**WAVLM, "num_hidden_layers": 4}


@pytest.fixture
def written(tmp_path, tones):
    """Recipes of pre-training and of a frozen encoder in files, and a protocol beside them."""
    manifest = tones.root / "manifest.csv"
    write_recipe(tmp_path / "pretrain.yaml", manifest, config=FOUR_LAYERS, task={"name": "vesper", "layers": 2})
    write_recipe(
        *(tmp_path / "frozen.yaml", manifest),
        backbone={"config": None, "checkpoint": "encoder", "train": "none"},
    )
    (tmp_path / "folds.yaml").write_text(yaml.safe_dump(THREE_FOLDS))
    return tmp_path


@pytest.mark.load
def test_the_command_describes_and_makes_an_encoder(written, emotune_command):
    described = emotune_command("train", written / "pretrain.yaml", "--dry-run")
    assert described.code == 0, described.err
    assert "parameters train, for an encoder of" in described.out
    ended = emotune_command("train", written / "pretrain.yaml", "-o", written / "run")
    assert ended.code == 0, ended.err
    assert "16 recordings" not in ended.err
    assert "15 recordings, 0.00 h, without labels; 1 choose the epoch" in ended.err
    assert "development explained" in ended.err
    assert f"model.backbone.checkpoint={written / 'run' / 'encoder'}" in ended.out
    again = emotune_command("train", written / "pretrain.yaml", "-o", written / "run")
    assert again.code == 2
    assert "already holds a finished run" in again.err


@pytest.mark.load
def test_each_fold_has_the_encoder_that_heard_its_own_training_speakers(written, tones, emotune_command):
    protocol = f"protocol={written / 'folds.yaml'}"
    ended = emotune_command("train", written / "pretrain.yaml", protocol, "-o", written / "runs")
    assert ended.code == 0, ended.err
    tested = set()
    for number in (1, 2, 3):
        fold = written / "runs" / f"fold_{number}"
        heard = {utterance.speaker for utterance in Manifest.read(fold / "manifest.csv")}
        assert len(heard) <= 4
        tested |= {utterance.speaker for utterance in tones} - heard
        assert (fold / "encoder" / "model.safetensors").exists()
    assert tested == {utterance.speaker for utterance in tones}
    checkpoint = f"model.backbone.checkpoint={written}/runs/{{fold}}/encoder"
    ended = emotune_command("train", written / "frozen.yaml", protocol, checkpoint, "-o", written / "frozen")
    assert ended.code == 0, ended.err
    for number in (1, 2, 3):
        recipe = yaml.safe_load((written / "frozen" / f"fold_{number}" / "recipe.yaml").read_text())
        assert recipe["model"]["backbone"]["checkpoint"] == f"{written}/runs/fold_{number}/encoder"


@pytest.mark.load
def test_each_fold_goes_on_from_the_model_that_heard_its_own_training_speakers(
    written, tones, emotune_command, monkeypatch
):
    monkeypatch.setattr("emotune.training.pretraining.run._HELD_OUT", 0.25)
    views = {"name": "views", "mel": {"features": 8, "bins": 20}, "descriptors": None, "width": 8}
    manifest = tones.root / "manifest.csv"
    write_recipe(written / "views.yaml", manifest, backbone={"train": "none"}, task=views)
    (written / "labels.yaml").write_text(
        yaml.safe_dump({"name": "labels", "data": {"manifest": str(manifest)}, "model": {}, "train": {"epochs": 1}})
    )
    protocol = f"protocol={written / 'folds.yaml'}"
    ended = emotune_command("train", written / "views.yaml", protocol, "-o", written / "views")
    assert ended.code == 0, ended.err
    assert f"{protocol} data.manifest=FILE model.start={written / 'views'}" in ended.out
    said = emotune_command("evaluate", written / "views", "--split", "test").err
    assert "holds a run of pre-training a fold, and predicts nothing yet" in said
    start = f"model.start={written / 'views'}"
    described = emotune_command("train", written / "labels.yaml", protocol, start, "--dry-run")
    assert described.code == 0, described.err
    ended = emotune_command("train", written / "labels.yaml", protocol, start, "-o", written / "labels")
    assert ended.code == 0, ended.err
    for number in (1, 2, 3):
        about = json.loads((written / "labels" / f"fold_{number}" / "provenance.json").read_text())
        (earlier,) = about["earlier_training"]
        assert earlier["name"] == f"fold_{number}" and earlier["complete"]
    report = json.loads((written / "labels" / "all" / "report.json").read_text())
    assert report["information"]["speaker_dependent"] is False
    first = f"model.start={written / 'views' / 'fold_1'}"
    ended = emotune_command("train", written / "labels.yaml", protocol, first, "-o", written / "leaking")
    assert ended.code == 2
    assert "model.start: " in ended.err and "has heard 2 speakers" in ended.err


@pytest.mark.load
def test_a_study_pretrains_in_a_step_and_compares_what_came_of_it(written, tones, emotune_command):
    whole = Manifest.read(tones.root / "manifest.csv")
    renamed = {"s4": "development", "s5": "test"}
    manifest = whole.replace_utterances(
        [type(u)(**{**vars(u), "split": renamed.get(u.speaker or "", "train")}) for u in whole]
    )
    manifest.write(written / "tested.csv")
    step = {"recipe": "frozen.yaml"}
    study = {
        "steps": [
            {"name": "taught", "recipe": "pretrain.yaml", "scored": False},
            {"name": "before", **step, "set": {"model.backbone.checkpoint": "{run:taught}/encoder_before"}},
            {"name": "after", **step, "set": {"model.backbone.checkpoint": "{run:taught}/encoder"}},
        ],
        "set": {"data.manifest": str(written / "tested.csv")},
    }
    (written / "study.yaml").write_text(yaml.safe_dump(study))
    ended = emotune_command("study", written / "study.yaml", "-o", written / "study", "--resamples", "100")
    assert ended.code == 0, ended.err
    found = json.loads((written / "study" / "study.json").read_text())
    assert [one["name"] for one in found["steps"]] == ["taught", "before", "after"]
    del study["steps"][0]["scored"]
    (written / "study.yaml").write_text(yaml.safe_dump(study))
    ended = emotune_command("study", written / "study.yaml", "-o", written / "other")
    assert "step taught: pre-training predicts nothing that could be scored: give scored: false" in ended.err
