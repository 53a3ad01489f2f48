"""What every condition says of itself, so that recipes, models, tables and cards can do with it; and its values."""

import dataclasses
from pkgutil import resolve_name

import numpy as np
import pytest

from emotune.conditions import CONDITIONS
from emotune.conditions.gender import GenderCondition
from emotune.conditions.known import condition_columns, known_of
from emotune.models.conditions.features import ConditionFeatures
from emotune.schema.manifest import Manifest, Utterance

USABLE = {"gender": "male", "text": "so it is"}


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
