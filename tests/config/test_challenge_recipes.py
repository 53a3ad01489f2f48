"""The recipes of the Odyssey 2024 challenge and its successor say what they are meant to."""

import pytest

from emotune.config.reading import load_recipe
from emotune.recipes import recipe_names

NAMES = [name for name in recipe_names() if name.startswith(("odyssey2024/", "sernc2025/"))]
POOLINGS = ("mean", "std", "mean_std", "attention", "attentive_stats")
DIMENSIONS = ["arousal", "valence", "dominance"]


def recipe_of(name):
    return load_recipe(name, ["data.root=corpus"])


@pytest.mark.parametrize("name", NAMES)
def test_every_recipe_is_wavlm_large_with_its_convolutions_frozen(name):
    recipe = recipe_of(name)
    backbone = recipe.model.backbone if recipe.model.second is None else recipe.model.second.backbone
    assert (backbone.name, backbone.checkpoint, backbone.layers) == ("wavlm", "microsoft/wavlm-large", None)
    assert not backbone.train_front_end
    assert recipe.description
    assert "other" not in recipe.data.drop or recipe.data.classes


@pytest.mark.parametrize("name", NAMES)
def test_a_step_holds_about_thirty_two_clips(name):
    train = recipe_of(name).train
    assert 30 <= train.batch_seconds * train.accumulate / 5.8 <= 34
    assert train.epochs <= 20


def test_the_baseline_is_as_the_organisers_describe_it():
    recipe = recipe_of("odyssey2024/baseline_categories")
    model, train = recipe.model, recipe.train
    assert (model.layer_mix, model.pooling, model.hidden_size, model.dropout) == ("last", "attentive_stats", 1024, 0.5)
    assert (train.encoder_lr, train.head_lr, train.epochs, train.metric) == (1e-5, 1e-5, 20, "macro_f1")
    assert recipe.loss.cross_entropy.class_weights == "balanced"
    attributes = recipe_of("odyssey2024/baseline_attributes")
    assert (attributes.data.dimensions, attributes.loss.ccc.weight, attributes.train.metric) == (DIMENSIONS, 3.0, "ccc")


def test_poolings_differ_in_nothing_else():
    told = {name: recipe_of(f"odyssey2024/{name}").model_dump(exclude={"name", "description"}) for name in POOLINGS}
    assert {name: recipe["model"].pop("pooling") for name, recipe in told.items()} == {name: name for name in POOLINGS}
    assert all(recipe == told["mean"] for recipe in told.values())


def test_conditions_and_targets_are_what_their_names_say():
    gender, text = (recipe_of(f"odyssey2024/{name}").model for name in ("gender_predicted", "text_asr"))
    assert gender.conditions.gender.source == "predicted" and gender.conditions.text is None
    assert text.conditions.text.source == "predicted" and text.conditions.gender is None
    both = recipe_of("odyssey2024/gender_text_predicted").model.conditions
    assert (both.gender.source, both.text.source) == ("predicted", "predicted")
    assert both.text == text.conditions.text
    assert recipe_of("odyssey2024/gender_film").model.join == "film"
    for name in ("odyssey2024/gender_target", "sernc2025/gender_target", "sernc2025/attributes_gender_target"):
        recipe = recipe_of(name)
        assert recipe.loss.gender.weight > 0 and recipe.model.conditions.gender is None
    assert recipe_of("odyssey2024/gender_classifier").data.target == "gender"


def test_single_attributes_are_learnt_alone():
    for name in DIMENSIONS:
        recipe = recipe_of(f"odyssey2024/{name}")
        assert (recipe.data.dimensions, recipe.data.classes, recipe.loss.ccc.weight) == ([name], False, 1.0)


def test_the_successors_recipes_learn_from_every_workers_vote():
    for name in (
        *("soft_targets", "kl", "gender_target", "balanced", "mixup"),
        *("annotator_dropout", "covariance", "manifold_mixup", "entropy_curriculum"),
    ):
        recipe = recipe_of(f"sernc2025/{name}")
        votes = recipe.data.votes
        assert (recipe.data.drop, votes.no_agreement, votes.other) == ([], "votes", "votes_only")
        assert recipe.loss.cross_entropy.weight == 0
        assert recipe.loss.kl.weight + recipe.loss.soft_cross_entropy.weight == 1
    curriculum, streams = (recipe_of(f"sernc2025/{name}") for name in ("entropy_curriculum", "two_streams"))
    assert curriculum.train.unfreeze.stages == {0: 2, 1: 4, 3: 8, 7: 12}
    assert curriculum.train.vote_targets.secondary == 0.1
    assert [streams.model.backbone.name, streams.model.second.size] == ["whisper", 512]
    assert (streams.loss.soft_cross_entropy.weight, streams.loss.ccc.weight) == (1.5, 0.4)
    assert recipe_of("sernc2025/balanced").train.sampling.by == "class"
    assert recipe_of("odyssey2024/balanced_sampling").loss.cross_entropy.class_weights == "none"
