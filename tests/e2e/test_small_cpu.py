"""`general/small_cpu`: a user's own table, from the installed model mini, offline."""

import json

import pytest

from emotune.config.reading import load_recipe
from emotune.errors import ConfigError
from emotune.training.probe import probe_run

pytest.importorskip("emotune_mini", reason="mini is not installed: pip install packages/emotune-mini")
pytest.importorskip("onnx", reason="going on from an exported model needs the extra export")


def test_a_table_of_ones_own_is_learnt_from_mini(tones, tmp_path):
    tones.write(tmp_path / "tones.csv")
    given = [f"data.manifest={tmp_path / 'tones.csv'}", "probe.copies=0", f"probe.cache={tmp_path / 'cache'}"]
    recipe = load_recipe("general/small_cpu", given)
    assert recipe.model.backbone.name == "whisper" and recipe.model.backbone.checkpoint is None
    development = probe_run(recipe, tmp_path / "run")
    assert development.overall["uar"].value > 0.9
    card = (tmp_path / "run" / "model" / "config.json").read_text(encoding="utf-8")
    assert json.loads(card)["classes"] == list(tones.label_space.classes)


def test_an_installed_model_is_scored_on_a_table(tones, tmp_path, emotune_command):
    tones.write(tmp_path / "tones.csv")
    said = emotune_command(
        "evaluate", "mini", "--manifest", tmp_path / "tones.csv", "--shared-classes", "-o", tmp_path / "scored"
    )
    assert said.code == 0 and "By its card this model was trained on RAVDESS, nEMO, EmoDB: of recordings" in said.err
    about = json.loads((tmp_path / "scored" / "report.json").read_text(encoding="utf-8"))["information"]
    assert about["recipe"] == "mini" and about["speaker_dependent"] == "unknown"


@pytest.mark.parametrize(
    ("given", "words"),
    [([], "say with -o where its results are to be written"), (["-o", "nowhere"], "give --manifest")],
)
def test_a_model_without_its_run_says_what_it_lacks(given, words, emotune_command):
    said = emotune_command("evaluate", "mini", *given)
    assert said.code == 2 and words in said.err


def test_another_encoder_than_minis_is_asked_for_as_the_refusal_says():
    folder = "model.backbone.checkpoint=encoder"
    with pytest.raises(ConfigError, match=r"model.start=null, model.backbone.name=FAMILY") as refused:
        load_recipe("general/small_cpu", ["data.manifest=m.csv", folder])
    assert "FOLDER" in str(refused.value)
    given = ["data.manifest=m.csv", "model.start=null", "model.backbone.name=whisper", folder]
    backbone = load_recipe("general/small_cpu", given).model.backbone
    assert (backbone.checkpoint, backbone.train) == ("encoder", "none")
