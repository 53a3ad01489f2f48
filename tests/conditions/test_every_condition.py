"""What every condition says of itself for recipes, models, tables and cards; its values, and vectors made of them."""

import dataclasses
from pkgutil import resolve_name

import numpy as np
import pytest
import torch
from torch import Tensor

from emotune.conditions import CONDITIONS
from emotune.conditions.gender import GenderCondition
from emotune.conditions.known import condition_columns, known_of
from emotune.models.conditions.features import ConditionFeatures
from emotune.models.conditions.joined import features_of
from emotune.schema.manifest import Manifest
from emotune.schema.utterance import Utterance

USABLE = {"gender": "male", "text": "so it is"}


def width_of(name: str) -> int:
    """Width of a condition's vectors, small where an encoder makes them."""
    return CONDITIONS[name].width or 6


def values(name: str, rows: int = 4) -> Tensor:
    if CONDITIONS[name].encoder is None:
        return torch.eye(width_of(name))[torch.arange(rows) % width_of(name)]
    return torch.randn(rows, width_of(name), generator=torch.Generator().manual_seed(1))


def features(name: str, **options) -> ConditionFeatures:
    torch.manual_seed(0)
    return features_of(name, {"width": width_of(name), "size": 5, **options})


def test_every_condition_of_the_table_is_known_here():
    assert set(CONDITIONS) == set(USABLE)


@pytest.mark.parametrize("name", CONDITIONS)
def test_a_condition_names_its_entry_columns_and_the_keys_of_its_section(name):
    condition = CONDITIONS[name]()
    keys = set(condition.options.model_fields)
    assert condition.name == name
    assert set(condition.columns) <= set(condition_columns())
    assert {"source", *condition.feature_options} <= keys
    assert {helper.key for helper in condition.helpers} <= keys
    assert issubclass(resolve_name(condition.features), ConditionFeatures)
    assert (condition.width is None) == (condition.encoder is not None)
    assert condition.words and condition.options().source == "given"


@pytest.mark.parametrize("name", CONDITIONS)
def test_a_usable_value_is_given_predicted_or_unknown_and_has_a_vector_of_its_width(name):
    condition, value = CONDITIONS[name](), USABLE[name]
    given, predicted = {condition.given: value}, {condition.predicted: value}
    assert condition.value_of({**predicted, **given}, "given") == (value, "given")
    found = (None, "unknown") if condition.predicted is None else (value, "predicted")
    assert condition.value_of(predicted, "given") == condition.value_of(predicted, "predicted") == found
    assert condition.value_of(given, "unknown") == condition.value_of({}, "given") == (None, "unknown")
    assert condition.lacks({}, "given") == (condition.predicted is not None) and not condition.lacks({}, "unknown")
    assert not condition.lacks({condition.predicted: ""}, "given")
    if condition.encoder is None:
        assert np.isfinite(condition.vector(value)).sum() == condition.width


@pytest.mark.parametrize("name", CONDITIONS)
def test_a_helper_that_no_recipe_names_is_none(name, tones):
    condition = CONDITIONS[name]()

    def load(model):
        raise AssertionError(model)

    assert condition.find_predictor(condition.options(), tones, load) is None


@pytest.mark.parametrize("name", CONDITIONS)
def test_a_row_with_a_gap_gives_the_learnt_vector_and_changes_no_other_row(name):
    made, known = features(name).eval(), values(name)
    gap = known.clone()
    gap[1, 0] = torch.nan
    found, whole = made(gap), made(known)
    torch.testing.assert_close(found[1], made.unknown)
    torch.testing.assert_close(found[[0, 2, 3]], whole[[0, 2, 3]])
    assert whole.isfinite().all()
    assert not torch.allclose(whole[0], whole[1])


@pytest.mark.parametrize("name", CONDITIONS)
def test_training_takes_a_share_of_the_values_for_unknown(name):
    made = features(name, dropout=0.3).train()
    taken = (made(values(name, 2000)) == made.unknown).all(dim=1).float().mean()
    assert 0.25 < taken.item() < 0.35
    assert not (made.eval()(values(name, 2000)) == made.unknown).all(dim=1).any()


@pytest.mark.parametrize("name", CONDITIONS)
def test_the_gradient_is_finite_where_a_value_is_unknown(name):
    made, known = features(name, dropout=0.0), values(name)
    known[0] = torch.nan
    made(known).square().sum().backward()
    assert all(parameter.grad.isfinite().all() for parameter in made.parameters())
    assert made.unknown.grad.any()


@pytest.mark.parametrize(
    ("known", "source", "expected"),
    [
        ({"gender": "male", "gender_predicted": "female"}, "given", ("male", "given")),
        ({"gender": "male", "gender_predicted": "female"}, "predicted", ("female", "predicted")),
        ({"gender": "unknown", "gender_predicted": "female"}, "given", ("female", "predicted")),
        ({"gender": "male"}, "predicted", (None, "unknown")),
        ({"gender": "male"}, "unknown", (None, "unknown")),
        ({"gender": "male"}, "wrong", ("female", "wrong")),
        ({}, "wrong", (None, "unknown")),
    ],
)
def test_where_a_value_comes_from(known, source, expected):
    assert GenderCondition().value_of(known, source) == expected


def test_a_manifest_keeps_what_was_predicted(tones, tmp_path):
    changed = [dataclasses.replace(u, gender_predicted="male", text_predicted="so it is") for u in tones]
    tones.replace_utterances(changed).write(tmp_path / "m.csv")
    read = Manifest.read(tmp_path / "m.csv")
    assert known_of(read.utterances[0])["gender_predicted"] == "male"
    assert {u.text_predicted for u in read} == {"so it is"}
    assert known_of(Utterance("a", "a.wav")) == {}
