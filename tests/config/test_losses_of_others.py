"""Losses that a package adds obey the rules of a recipe as ours do."""

import pytest
from pydantic import ValidationError

from emotune.config.recipe import Recipe
from emotune.losses.options import ClassWeightOptions

PLAIN = {"name": "r", "data": {"manifest": "m.csv"}, "model": {"backbone": {"name": "wavlm", "config": {}}}}


class Point:
    name, value = "poly", "theirs:Options"

    def load(self) -> type[ClassWeightOptions]:
        return ClassWeightOptions


@pytest.fixture(autouse=True)
def _poly(monkeypatch):
    monkeypatch.setattr(
        "importlib.metadata.entry_points", lambda *, group: [Point()] * group.startswith("emotune.loss")
    )


def test_null_leaves_a_loss_of_another_package_out():
    without = Recipe.model_validate({**PLAIN, "loss": {"poly": None}})
    assert dict(without.loss) == dict(Recipe.model_validate(PLAIN).loss)


@pytest.mark.parametrize(("rule", "refused"), [("balanced", True), ("none", False)])
def test_a_loss_of_another_package_makes_up_for_rare_classes_once(rule, refused):
    losses = {"cross_entropy": {"weight": 0}, "poly": {"weight": 1, "class_weights": rule}}
    content = {**PLAIN, "loss": losses, "train": {"sampling": "balanced"}}
    if not refused:
        assert dict(Recipe.model_validate(content).loss)["poly"].weight == 1
        return
    with pytest.raises(ValidationError, match=r"loss\.poly\.class_weights: balanced would make up for rare"):
        Recipe.model_validate(content)
