"""The recipes of mini, from its corpora to its leave-one-corpus-out figures: nobody is both learnt from and tested."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from emotune.config.reading import load_recipe
from emotune.config.recipe import Recipe
from emotune.corpora import CORPORA, ReadingOptions
from emotune.corpora.annotations import annotations_of
from emotune.models.folder import training_duration_in

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "examples" / "mini"
CLASSES = ("anger", "happiness", "sadness", "neutral")
SOURCES = {"ravdess": ("ravdess", "ravdess"), "emodb": ("emodb", "emodb4"), "nemo": ("table", "nemo/labels.csv")}
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


@pytest.mark.parametrize(("package", "of"), [("emotune-mini", ""), ("emotune-mini-emodb", "emodb/")])
def test_the_installed_models_say_how_long_their_training_clips_are(shared, package, of):
    learnt = {name for name in speakers(load_recipe(FOLDER / "mini.yaml"), "train") if name.startswith(of)}
    durations = []
    for name, (reader, place) in SOURCES.items():
        found = annotations_of(CORPORA[reader], shared / "data" / place, ReadingOptions())
        own = [one for one in found.utterances if f"{name}/{one.speaker}" in learnt and one.emotion in CLASSES]
        durations += [soundfile.info(found.folder / one.file).duration for one in own]
    (model,) = (ROOT / "packages" / package / "src").glob("*/model")
    assert training_duration_in(model) == pytest.approx(np.percentile(durations, 99), abs=0.001)
