"""A recipe that merges runs: learnt coefficients, a plain model, and its provenance and card name the parents."""

import json
import shutil

import pytest
import torch
import yaml

from builders.recipes import THREE_FOLDS, sections_over
from emotune.config.recipe import Recipe
from emotune.errors import ConfigError
from emotune.models.store import fingerprint_of, load_model
from emotune.protocols.run import first_fold
from emotune.runtime.listener import Listener
from emotune.training.build import build_backbone
from emotune.training.fine_tune import train_run
from emotune.training.heard_before import earlier_models


class Interrupted(Listener):
    def step(self, done, total, figures) -> None:
        if done == 2:
            raise KeyboardInterrupt


@pytest.fixture(scope="module")
def recipe_of(tones):
    def build(*models, model: dict | None = None, **train) -> Recipe:
        content = sections_over(tones.root / "manifest.csv", train={"encoder_lr": 1e-3, "adapter_lr": 0.05, **train})
        adapter = {"name": "task_vectors", "models": [str(path) for path in models]}
        content["model"] |= {"adapter": adapter if models else None, **(model or {})}
        return Recipe.model_validate(content)

    return build


@pytest.fixture(scope="module")
def parents(recipe_of, tmp_path_factory):
    """Two runs from one encoder, with different rates."""
    folder = tmp_path_factory.mktemp("parents")
    for name, rate in (("calm", 1e-3), ("brisk", 1e-2)):
        train_run(recipe_of(encoder_lr=rate), folder / name)
    return [folder / "calm", folder / "brisk"]


def test_merging_learns_coefficients_and_keeps_a_plain_model_that_names_its_parents(recipe_of, parents, tmp_path):
    recipe = recipe_of(*parents, epochs=3)
    train_run(recipe, tmp_path / "run")
    about = json.loads((tmp_path / "run" / "provenance.json").read_text())
    assert [(own["name"], own["fingerprint"]) for own in about["merged"]] == [
        (str(parent), fingerprint_of(parent / "model")) for parent in parents
    ]
    assert about["trainable_by_part"]["adapter"] == 2 * 3 and about["trainable_by_part"]["encoder"] == 0
    shares = about["task_coefficients"]
    assert list(shares) == ["below the layers", "1", "2"] and shares["1"] != shares["2"] != [0.5, 0.5]
    found = load_model(tmp_path / "run").model
    assert found.options["adapter"] is None
    start = build_backbone(recipe).state_dict()
    theirs = [load_model(parent).model.backbone.state_dict() for parent in parents]
    for name, weight in found.backbone.state_dict().items():
        place = "1" if ".layers.0." in name else "2" if ".layers.1." in name else "below the layers"
        changes = [one[name] - start[name] for one in theirs]
        expected = start[name] + sum(share * change for share, change in zip(shares[place], changes, strict=True))
        torch.testing.assert_close(weight, expected, rtol=1e-4, atol=1e-6)
    card = (tmp_path / "run" / "model" / "README.md").read_text(encoding="utf-8").splitlines()
    assert "- merged: calm, brisk" in card
    (licence,) = [line for line in card if line.startswith("- licence: ")]
    assert "of calm, which is merged into it: " in licence and "of brisk, which is merged into it: " in licence


def test_the_speakers_of_the_parents_are_known_of_the_merged_run(recipe_of, parents, tones):
    heard = earlier_models(recipe_of(*parents))
    assert [(one.key, one.training.name, one.training.complete) for one in heard] == [
        ("model.adapter.models", "calm", True),
        ("model.adapter.models", "brisk", True),
    ]
    trained_on = {u.speaker for u in tones.split("train")}
    assert all({name for _, name in one.training.speakers} == trained_on for one in heard)


def test_a_run_does_not_go_on_with_another_parent_under_the_same_name(recipe_of, parents, tmp_path):
    shutil.copytree(parents[0], tmp_path / "parent")
    recipe = recipe_of(tmp_path / "parent", epochs=3, checkpoint_minutes=0)
    with pytest.raises(KeyboardInterrupt):
        train_run(recipe, tmp_path / "run", listener=Interrupted())
    shutil.rmtree(tmp_path / "parent")
    shutil.copytree(parents[1], tmp_path / "parent")
    with pytest.raises(ConfigError, match="an unfinished run of other merged models; choose another folder"):
        train_run(recipe, tmp_path / "run")


def test_an_interrupted_merge_goes_on_to_the_same_weights(recipe_of, parents, tmp_path):
    recipe = recipe_of(*parents, epochs=2, checkpoint_minutes=0)
    train_run(recipe, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        train_run(recipe, tmp_path / "parts", listener=Interrupted())
    train_run(recipe, tmp_path / "parts")
    whole, parts = (load_model(tmp_path / name).model.state_dict() for name in ("whole", "parts"))
    assert all(torch.equal(parts[name], weight) for name, weight in whole.items())


def test_of_a_protocol_each_fold_merges_its_own_parent(recipe_of, parents, tmp_path):
    (tmp_path / "folds.yaml").write_text(yaml.safe_dump(THREE_FOLDS))
    for number in (1, 2, 3):
        (tmp_path / "parent" / f"fold_{number}" / "model").mkdir(parents=True)
        (tmp_path / "parent" / f"fold_{number}" / "model" / "config.json").write_text("{}")
    recipe = recipe_of(tmp_path / "parent", tmp_path / "lone")
    whole = recipe.model_copy(update={"protocol": str(tmp_path / "folds.yaml")})
    assert first_fold(whole).model.merged == [str(tmp_path / "parent" / "fold_1"), str(tmp_path / "lone")]
    named = recipe_of(tmp_path / "{fold}" / "encoder").model_copy(update={"protocol": whole.protocol})
    assert first_fold(named).model.merged == [str(tmp_path / "fold_1" / "encoder")]


def test_spread_weights_cannot_be_merged(recipe_of, parents):
    with pytest.raises(ValueError, match=r"train\.fsdp has no whole weights to merge"):
        recipe_of(*parents, fsdp=True)
