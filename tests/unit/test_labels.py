"""Class names, scales and label spaces."""

import math

import pytest

from emotune.errors import CorpusError
from emotune.labels import CLASSES, LabelSpace, Scale, class_noun, in_class_order


@pytest.mark.parametrize(
    ("word", "noun"),
    [("Angry", "anger"), (" joy ", "happiness"), ("NEU", "neutral"), ("Fearful", "fear"), ("ps", "surprise")],
)
def test_a_corpus_word_becomes_our_noun(word, noun):
    assert class_noun(word) == noun


def test_a_noun_stands_for_itself_and_an_unknown_word_stays_in_lower_case():
    assert [class_noun(name) for name in CLASSES] == list(CLASSES)
    assert class_noun(" Stress ") == "stress"


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
