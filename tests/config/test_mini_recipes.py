"""The recipes of mini, from its corpora to its leave-one-corpus-out figures: nobody is both learnt from and tested."""

from pathlib import Path

import pytest

from emotune.config.reading import load_recipe
from emotune.config.recipe import Recipe

FOLDER = Path(__file__).parents[2] / "examples" / "mini"
SPEAKERS = {"ravdess": 24, "emodb": 10, "nemo": 9}


def speakers(recipe: Recipe, split: str) -> set[str]:
    return set(recipe.data.splits[split]["speaker"])


def test_every_speaker_has_one_split():
    mini = load_recipe(FOLDER / "mini.yaml")
    parts = [speakers(mini, split) for split in ("train", "development", "test")]
    assert len(set.union(*parts)) == sum(map(len, parts)) == sum(SPEAKERS.values())


@pytest.mark.parametrize("corpus", SPEAKERS)
def test_a_corpus_that_is_left_out_is_tested_whole_and_nothing_else_of_the_recipe_changes(corpus):
    mini, without = load_recipe(FOLDER / "mini.yaml"), load_recipe(FOLDER / f"without_{corpus}.yaml")
    tested = speakers(without, "test")
    assert len(tested) == SPEAKERS[corpus]
    assert all(name.startswith(f"{corpus}/") for name in tested)
    for split in ("train", "development"):
        assert speakers(without, split) == {name for name in speakers(mini, split) if not name.startswith(f"{corpus}/")}
    changed = {"name": "", "description": "", "data": mini.data.model_copy(update={"splits": {}})}
    of_both = [recipe.model_copy(update=changed) for recipe in (mini, without)]
    assert of_both[0] == of_both[1]


def test_the_variant_on_emodb_keeps_the_splits_of_its_speakers():
    mini, alone = load_recipe(FOLDER / "mini.yaml"), load_recipe(FOLDER / "emodb.yaml")
    for split in ("train", "development", "test"):
        named = {name for name in speakers(mini, split) if name.startswith("emodb/")}
        assert {f"emodb/{name}" for name in speakers(alone, split)} == named
