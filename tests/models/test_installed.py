"""A plain name is an installed model in every working folder; a folder has a slash."""

import importlib.metadata
import json
import logging
import re
import tomllib
from pathlib import Path

import pytest

import emotune
from builders.exported import save_exported
from builders.installed import PACKAGES, install, package_with_model
from builders.recordings import write_recording
from emotune.errors import ModelError
from emotune.inference.known_models import encoders_of_recipes, known_models
from emotune.models.folder import find_model_folder
from emotune.models.installed import MODELS, OWN
from emotune.schema.labels import LabelSpace

SPACE = LabelSpace(("anger", "neutral"))
ROOT = PACKAGES.parent


@pytest.fixture
def mini(tmp_path, monkeypatch) -> Path:
    """The folder of the installed model ``mini``; ``mini-emodb`` is not installed, whatever is where the tests run."""
    all_of = importlib.metadata.entry_points
    monkeypatch.setattr(
        "importlib.metadata.entry_points",
        lambda *, group: [entry for entry in all_of(group=group) if entry.name != "mini-emodb"],
    )
    return install(monkeypatch, package_with_model(tmp_path / "package", "emotune-mini", SPACE))


@pytest.fixture
def without_packages(monkeypatch) -> None:
    monkeypatch.setattr("importlib.metadata.entry_points", lambda *, group: [])


def test_an_installed_model_predicts_by_its_name(mini, tmp_path):
    predictor = emotune.load("mini")
    answer = predictor.predict(write_recording(tmp_path / "call.wav"))
    assert isinstance(answer, emotune.Prediction) and set(answer.probabilities) == {"anger", "neutral"}
    assert predictor.identity["name"] == "mini"


def test_the_installed_model_is_meant_in_every_working_folder(mini, tmp_path, monkeypatch, caplog):
    monkeypatch.chdir(tmp_path)
    here = save_exported(tmp_path / "mini", LabelSpace(("fear", "calm")))
    with caplog.at_level(logging.INFO, logger="emotune"):
        assert find_model_folder("mini").folder == mini
    assert "the one in the folder here is ./mini" in caplog.text
    for name in ("./mini", Path("mini"), str(here)):
        assert find_model_folder(name).folder == here


def test_a_folder_has_its_plain_name_where_no_package_takes_it(without_packages, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    here = save_exported(tmp_path / "mini", SPACE)
    assert find_model_folder("mini") == find_model_folder(here)


@pytest.mark.parametrize("name", ["mini", "mnii", "Mini"])
def test_a_model_that_is_not_installed_comes_with_its_cure(without_packages, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError, match=r"There is no folder .* is installed with pip install 'emotune\[mini\]'"):
        emotune.load(name)
    (tmp_path / name).mkdir()
    with pytest.raises(ModelError, match=r"without config.json.* pip install 'emotune\[mini\]'"):
        emotune.load(name)


def test_a_mistyped_name_of_an_installed_model_names_it(mini):
    with pytest.raises(ModelError, match=r"There is no folder minni. 'mini' is an installed model"):
        emotune.load("minni")


def test_a_package_without_its_folder_says_so(mini):
    mini.rename(mini.parent / "gone")
    with pytest.raises(ModelError, match=r"The package of the model 'mini' lacks its folder .* Install the package"):
        emotune.load("mini")
    assert "mini" not in [model.name for model in known_models() if model.install is None]


def test_our_packages_offer_what_the_extras_install():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for name, extra in OWN.items():
        (requirement,) = extras[extra]
        about = tomllib.loads((PACKAGES / requirement.split(">")[0] / "pyproject.toml").read_text())["project"]
        assert list(about["entry-points"]["emotune.model"]) == [name]
        assert not any(re.search(r"\bmini\b", other) for other in extras["all"] + extras["dev"])


def test_models_are_listed_with_what_they_are(mini, tmp_path):
    save_exported(tmp_path / "runs" / "calls" / "model", LabelSpace(("anger", "neutral")))
    (tmp_path / "runs" / "calls" / "model" / "README.md").write_text("# calls\n\n- corpus: x\n- licence: our own\n")
    begun = save_exported(tmp_path / "runs" / "begun" / "model", LabelSpace(("anger", "neutral")))
    (begun.parent / "provenance.json").write_text('{"finished": null}')
    cut_off = save_exported(tmp_path / "runs" / "cut_off" / "model", LabelSpace(("anger", "neutral")))
    (cut_off / "model.onnx").unlink()
    (tmp_path / "runs" / "encoder").mkdir()
    (tmp_path / "runs" / "encoder" / "config.json").write_text('{"model_type": "whisper"}')
    listed = {model.name: model for model in known_models(tmp_path / "runs")}
    assert set(listed) == {*OWN, *MODELS, str(tmp_path / "runs" / "calls")}
    assert listed["mini"].licence == "cc-by-nc-sa-4.0" and listed["mini"].classes == ("anger", "neutral")
    assert listed["mini"].folder == str(mini) and listed["mini"].install is None
    assert listed[str(tmp_path / "runs" / "calls")].licence == "our own"
    assert listed["mini-emodb"].install == "pip install 'emotune[mini-emodb]'"
    assert emotune.load(str(tmp_path / "runs" / "calls")).label_space == SPACE


def test_the_command_prints_the_list(mini, emotune_command, tmp_path):
    said = emotune_command("models", tmp_path)
    assert said.code == 0 and "cc-by-nc-sa-4.0" in said.out and "pip install 'emotune[mini-emodb]'" in said.out
    assert all(name in said.out for name in encoders_of_recipes())


@pytest.mark.parametrize("named", ["mini", "runs/calls", "runs/calls/model"])
def test_one_model_is_shown_with_its_card(mini, emotune_command, tmp_path, monkeypatch, named):
    monkeypatch.chdir(tmp_path)
    save_exported(tmp_path / "runs" / "calls" / "model", LabelSpace(("anger", "neutral")))
    (tmp_path / "runs" / "calls" / "model" / "README.md").write_text("# calls\n")
    card = (mini if named == "mini" else tmp_path / "runs" / "calls" / "model") / "README.md"
    shown = emotune_command("models", named)
    assert shown.code == 0 and str(card) in shown.out and "anger, neutral" in shown.out
    assert json.loads(emotune_command("models", named, "--json").out)["card"] == str(card)
    assert "'mini' is an installed model" in emotune_command("models", "minni").err


def test_encoders_are_those_that_recipes_name():
    assert "general/wavlm_base_plus" in encoders_of_recipes()["microsoft/wavlm-base-plus"]
    assert encoders_of_recipes()["mini"] == ["general/small_cpu"]
