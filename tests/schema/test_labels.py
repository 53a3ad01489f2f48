"""Class names, scales and label spaces."""

import math

import pytest

from emotune.errors import CorpusError
from emotune.schema.calibration import UNCERTAIN
from emotune.schema.labels import CLASSES, RESERVED, RESERVED_PREFIXES, LabelSpace, Scale, class_noun, in_class_order
from emotune.schema.predictions import Prediction, Predictions
from emotune.schema.utterance import COLUMNS


@pytest.mark.parametrize(
    ("word", "noun"),
    [("Angry", "anger"), (" joy ", "happiness"), ("NEU", "neutral"), ("Fearful", "fear"), ("ps", "surprise")],
)
def test_a_corpus_word_becomes_our_noun(word, noun):
    assert class_noun(word) == noun


def test_a_noun_stands_for_itself_and_an_unknown_word_stays_in_lower_case():
    assert [class_noun(name) for name in CLASSES] == list(CLASSES)
    assert class_noun(" Stress ") == "stress"


def test_a_word_is_one_class_however_its_letters_are_composed_and_spaced():
    assert class_noun("Gelöst") == class_noun("gelo\u0308st") == "gelöst"
    assert class_noun("cold  Anger") == class_noun("Cold anger") == "cold anger"


def test_known_classes_come_first_in_our_order_then_others_by_alphabet():
    assert in_class_order(["zeal", "neutral", "awe", "anger", "neutral"]) == ("anger", "neutral", "awe", "zeal")


@pytest.mark.parametrize("bounds", [(1, 1), (7, 1), (math.nan, 1), (0, math.inf)])
def test_a_scale_without_extent_is_an_error(bounds):
    with pytest.raises(CorpusError, match="finite low < high"):
        Scale(*bounds)


def test_a_scale_maps_its_ends_to_zero_and_one_and_back():
    scale = Scale(-3, 5)
    assert [scale.to_unit(value) for value in (-3, 1, 5)] == [0, 0.5, 1]
    assert [scale.from_unit(value) for value in (0, 0.5, 1)] == [-3, 1, 5]


@pytest.mark.parametrize("bounds", [(-1e308, 1e308), (0, 1e300), (0, 1e-300)])
def test_a_scale_on_which_values_overflow_or_melt_together_is_an_error(bounds):
    with pytest.raises(CorpusError, match=r"Give the ends between which people rated"):
        Scale(*bounds)


def test_a_value_beyond_the_scale_is_brought_to_its_nearer_end():
    scale = Scale(1, 7)
    assert [scale.from_unit(value) for value in (-0.5, 0.25, 1.3)] == [1, 2.5, 7]
    assert [scale.clamp(value) for value in (-2.4, 3.0, 7.1)] == [1, 3.0, 7]
    assert Scale(0.1, 0.7).from_unit(1.0) <= 0.7


@pytest.mark.parametrize(
    "name", ["error", "confidence", "uncertain", "emotion", "p.x", "warning", "channel", "Votes.joy", " AGE "]
)
def test_what_our_tables_need_for_themselves_names_neither_class_nor_dimension(name):
    with pytest.raises(CorpusError, match=r"A class cannot be called .* --map"):
        LabelSpace(("anger", name))
    with pytest.raises(CorpusError, match=r"A dimension cannot be called .* --column"):
        LabelSpace((), {name: Scale(0, 1)})
    with pytest.raises(CorpusError, match="cannot be called"):
        LabelSpace.from_json({"dimensions": {name: [0, 1]}})


def test_every_column_of_our_tables_is_reserved():
    row = Prediction("u1", {"anger": 1.0}, {"arousal": 1.0})
    written = Predictions((row,), LabelSpace(("anger",), {"arousal": Scale(0, 1)})).columns()
    assert written == [
        "utterance_id",
        "emotion",
        "p.anger",
        "confidence",
        "arousal",
        "conditions_used",
        "warning",
        "error",
    ]
    own = {*written, *COLUMNS, UNCERTAIN} - {"arousal"}
    assert {name for name in own if not (name in RESERVED or name.startswith(RESERVED_PREFIXES))} == set()


@pytest.mark.parametrize("classes", [("a", "a"), ("",), ("a", " ")])
def test_classes_must_be_different_names(classes):
    with pytest.raises(CorpusError, match="must be different names"):
        LabelSpace(classes)


def test_a_label_space_survives_its_json():
    space = LabelSpace(("anger", "neutral"), {"arousal": Scale(1, 7), "valence": Scale(-1, 1)})
    assert LabelSpace.from_json(space.to_json()) == space
    assert LabelSpace.from_json({}) == LabelSpace()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"classes": "anger"}, "'classes' \\(a list\\)"),
        ({"dimensions": ["arousal"]}, "'dimensions' \\(name"),
        ({"dimensions": {"arousal": [1]}}, "dimension 'arousal' must be"),
        ({"dimensions": {"arousal": ["1", "7"]}}, "dimension 'arousal' must be"),
        ({"dimensions": {"arousal": [7, 1]}}, "low < high"),
    ],
)
def test_a_label_space_that_is_none_is_an_error(data, message):
    with pytest.raises(CorpusError, match=message):
        LabelSpace.from_json(data)
