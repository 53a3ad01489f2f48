"""Differences between recipes are told once."""

from emotune.config.reading import load_recipe
from emotune.config.recipe import Recipe
from emotune.training.recipe_changes import changes_between

OWN = load_recipe("pretraining/few_labels", ["data.manifest=m.csv"])


def with_model(backbone: dict[str, object] | None = None, **values: object) -> Recipe:
    own = OWN.model.backbone.model_copy(update=backbone or {})
    return OWN.model_copy(update={"model": OWN.model.model_copy(update={**values, "backbone": own})})


def test_a_key_that_differs_is_told_with_both_values():
    assert changes_between(OWN, with_model(pooling="std")) == ["model.pooling: refined_mean → std"]
    assert changes_between(OWN, with_model({"layers": 2})) == ["model.backbone.layers: 3 → 2"]


def test_of_a_start_the_encoder_that_it_brings_is_no_change_beside():
    brought = {"checkpoint": None, "config": {"d_model": 384}, "layers": None, "train": "all"}
    started = with_model(brought, start="runs/views")
    started_elsewhere = with_model({"checkpoint": "elsewhere"}, start="runs/views")
    assert "model.backbone.checkpoint: openai/whisper-tiny.en → elsewhere" in changes_between(OWN, started_elsewhere)
    assert changes_between(OWN, started) == ["model.start: none → runs/views", "model.backbone.train: none → all"]
