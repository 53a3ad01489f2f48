"""Errors of words and symbols, and F1 of slots, against counts made otherwise."""

import math
from collections import Counter
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emotune.evaluation.sequences import score_answers
from emotune.metrics.sequences import slot_counts, slot_f1, symbol_error_rate, symbol_errors, word_error_rate
from emotune.metrics.words import word_errors as own_word_errors

pytest.importorskip("jiwer")
pytest.importorskip("seqeval")
SLOTS = st.lists(st.sampled_from(["room hall", "room living room", "number two", "day on monday"]), max_size=3)
TEXTS = st.lists(st.text("ab ", max_size=8), min_size=1, max_size=4)


def test_a_word_error_rate_is_that_of_our_own_edit_distance():
    truth = ["Turn on the lights, please.", "call Anna", "don't"]
    said = ["turn the light please", "please call anna now", ""]
    assert word_error_rate(truth, said) == pytest.approx(own_word_errors(zip(truth, said, strict=True)).rate)
    assert math.isnan(word_error_rate(["", "?!"], ["a", ""]))


@settings(max_examples=30, deadline=None)
@given(TEXTS, st.data())
def test_a_symbol_error_rate_is_a_sum_of_errors_over_a_sum_of_symbols(truth, data):
    said = [data.draw(st.text("ab ", max_size=8)) for _ in truth]
    counts = [symbol_errors(a, b) for a, b in zip(truth, said, strict=True)]
    errors, symbols = (sum(column) for column in zip(*counts, strict=True))
    assert symbols == sum(len(text.split()) for text in truth)
    rate = symbol_error_rate(truth, said)
    assert math.isnan(rate) if not symbols else rate == pytest.approx(errors / symbols)


def test_symbols_that_differ_in_case_alone_are_errors():
    assert symbol_error_rate(["I t S"], ["i t S"]) == pytest.approx(1 / 3)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(SLOTS, SLOTS), min_size=1, max_size=4))
def test_f1_of_slots_is_that_of_counted_slots(pairs):
    truth, answers = zip(*pairs, strict=True)
    right, expected, found = (sum(c) for c in zip(*(slot_counts(a, b) for a, b in pairs), strict=True))
    f1 = slot_f1(truth, answers)
    assert math.isnan(f1) if not expected + found else f1 == pytest.approx(2 * right / (expected + found))
    assert right == sum(longest_common(tuple(a), tuple(b)) for a, b in pairs)
    assert right <= sum((Counter(a) & Counter(b)).total() for a, b in pairs)


def longest_common(first: tuple, second: tuple) -> int:
    """Length of the longest common subsequence, by trying all."""
    for size in range(len(first), 0, -1):
        if any(own in set(combinations(second, size)) for own in combinations(first, size)):
            return size
    return 0


def test_a_slot_of_two_words_is_right_as_a_whole_or_not_at_all():
    truth = [["room living room", "number two"]]
    assert slot_f1(truth, [["room living", "number two"]]) == pytest.approx(0.5)
    assert slot_f1(truth, [["number two", "room living room"]]) == pytest.approx(0.5), "they are said in order"
    assert slot_f1(truth, truth) == 1.0
    assert slot_f1(truth, [[]]) == 0.0


def test_figures_have_intervals_over_speakers_and_the_value_of_the_libraries():
    truth = [["a"], ["b"], ["a"], ["b"], ["a"], ["b"], ["a"], ["b"]]
    said = [["a"], ["b"], ["b"], ["b"], ["a"], ["b"], ["a"], ["a"]]
    speakers = ["s1", "s1", "s2", "s2", "s3", "s3", "s4", "s4"]
    found = score_answers("label", truth, said, speakers)
    assert found["uar"].value == found["accuracy"].value == pytest.approx(0.75)
    assert found["uar"].low < 0.75 <= found["uar"].high
    assert not score_answers("label", truth, said, speakers, resamples=0)["uar"].has_interval
    text = score_answers("text", [["turn", "on"], ["off"]], [["turn", "off"], ["off"]], ["s1", "s2"])
    assert text["wer"].value == pytest.approx(1 / 3)
    slots = score_answers("slots", [["room hall"], []], [["room hall"], ["number two"]], ["s1", "s2"])
    assert slots["f1"].value == pytest.approx(2 / 3) and slots["exact"].value == 0.5
    assert score_answers("symbols", [["a", "b"]], [["a"]], [None])["per"].value == 0.5
