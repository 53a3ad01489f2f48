"""Figures of a model's card: of each set that it was scored on, and of folds of its recipe."""

import json
import re

import pytest
import yaml

from builders.recipes import THREE_FOLDS, write_recipe


@pytest.fixture
def probed(tmp_path, tones, emotune_command):
    """A recipe of which a probe lies under ``model``, and the way to run it elsewhere with more keys."""
    (tmp_path / "protocol.yaml").write_text(yaml.safe_dump(THREE_FOLDS))
    recipe = write_recipe(tmp_path / "recipe.yaml", tones.root / "manifest.csv")

    def run(name, *more):
        ended = emotune_command("probe", recipe, f"probe.cache={tmp_path / 'cache'}", *more, "-o", tmp_path / name)
        assert ended.code == 0, ended.err

    run("model")
    return run


def test_the_card_has_what_the_model_was_chosen_by_and_scored_on(probed, tmp_path, emotune_command):
    card = tmp_path / "model" / "model" / "README.md"
    text = card.read_text(encoding="utf-8")
    assert "on the development split, which chose epoch or layer, so optimistic (8 utterances, 2 speakers)" in text
    assert "- chosen: layer " in text and "- trained_on: " in text
    for _ in range(2):  # tones has no test split
        ended = emotune_command("evaluate", tmp_path / "model", "--split", "train", "--resamples", 50)
        assert ended.code == 0, ended.err
    text = card.read_text(encoding="utf-8")
    score = json.loads((tmp_path / "model" / "train" / "report.json").read_text(encoding="utf-8"))["overall"]["uar"]
    section = text.split("## Figures on train\n")[1].split("\n## ")[0]
    assert text.count("## Figures on train") == 1 and f"- uar: {score['value']:.3f}" in section
    assert "- Speaker-dependent: 4 of 4 speakers" in section
    for note in json.loads((tmp_path / "model" / "train" / "report.json").read_text(encoding="utf-8"))["notes"]:
        assert note.partition(".")[0] in section  # what limits the report limits the card
    elsewhere = emotune_command(
        "evaluate", tmp_path / "model", "--split", "train", "--resamples", 30, "-o", tmp_path / "x"
    )
    assert elsewhere.code == 0, elsewhere.err
    assert card.read_text(encoding="utf-8") == text


def test_the_card_gets_the_pooled_figures_of_folds_of_the_same_recipe(probed, tmp_path, emotune_command):
    probed("folds", f"protocol={tmp_path / 'protocol.yaml'}")
    said = emotune_command("evaluate", tmp_path / "model", "--figures-from", tmp_path / "folds")
    assert said.code == 0, said.err
    pooled = json.loads((tmp_path / "folds" / "all" / "report.json").read_text(encoding="utf-8"))
    text = (tmp_path / "model" / "model" / "README.md").read_text(encoding="utf-8")
    section = text.split("## Figures on speakers left out\n")[1].split("\n## ")[0]
    assert f"- uar: {pooled['overall']['uar']['value']:.3f}" in section
    assert f"- of {pooled['scored']} utterances, {pooled['speakers']} speakers" in section
    assert re.search(r"This model was trained on \d+ of these \d+ recordings", section)
    others = emotune_command("evaluate", tmp_path / "model", "--figures-from", tmp_path / "folds", "--words")
    assert others.code == 2 and "so --words would do nothing" in others.err
    probed("others", f"protocol={tmp_path / 'protocol.yaml'}", "probe.inverse_regularisation=[0.5]")
    refused = emotune_command("evaluate", tmp_path / "model", "--figures-from", tmp_path / "others")
    assert refused.code == 2 and "of another recipe" in refused.err and "inverse_regularisation" in refused.err
