"""Vocabularies: one class a word, ten languages, lower case, near words, and what they do not change."""

from collections import Counter

import pytest

from emotune.schema.emotion_words import class_of_word, nearest_words, words_of_languages
from emotune.schema.labels import CLASSES, ENGLISH, class_noun, plain_word


def test_there_are_ten_languages_of_known_classes():
    assert len(words_of_languages()) == 10
    assert {name for classes in words_of_languages().values() for name in classes} <= set(CLASSES)
    for language, classes in words_of_languages().items():
        assert {"anger", "happiness", "fear"} <= set(classes), language


def test_every_word_has_one_class_in_all_languages_and_english_together():
    classes = {}
    for words in words_of_languages().values():
        for name, own in words.items():
            for word in own:
                assert classes.setdefault(word, name) == name, word
                assert ENGLISH.get(word, name) == name, word


def test_words_are_as_tables_are_read_and_stand_once_in_their_language():
    for language, classes in words_of_languages().items():
        words = [word for own in classes.values() for word in own]
        assert [word for word in words if plain_word(word) != word] == [], language
        assert [word for word, count in Counter(words).items() if count > 1] == [], language


@pytest.mark.parametrize(
    ("word", "name"),
    [("Wut", "anger"), ("RADOŚĆ", "happiness"), ("Dégoût", "disgust"), ("De\u0301gou\u0302t", "disgust"),
     ("miedo", "fear"), ("Tristezza", "sadness"), ("surpresa", "surprise"), ("Verveling", "boredom"),
     ("glæde", "happiness"), ("خوشی", "happiness"), ("愤怒", "anger"), ("stress", "stress"), ("Angry", "anger")],
)  # fmt: skip
def test_a_word_is_read_as_its_class(word, name):
    assert class_noun(word) == name


def test_a_misspelt_word_is_near_to_the_right_one_and_nonsense_to_none():
    assert nearest_words("hapiness", ENGLISH)[0] == ("happiness", "happiness")
    assert nearest_words("qqqq", ENGLISH) == []
    assert set(class_of_word().values()) <= set(CLASSES)
