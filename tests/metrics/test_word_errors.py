"""Word error rate against hand counts and a second way to count edits."""

import math
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emotune.metrics.words import plain_words, word_errors


@pytest.mark.parametrize(
    ("truth", "recognised", "errors", "words"),
    [
        ("Kids are talking by the door", "kids are talking by the door.", 0, 6),
        ("a b c", "", 3, 3),
        ("", "a b", 2, 0),
        ("a b c d", "a x c", 2, 4),
        ("one two", "zero one two three", 2, 2),
        ("It’s fine", "it's fine", 0, 2),
    ],
)
def test_errors_are_counted_by_hand(truth, recognised, errors, words):
    found = word_errors([(truth, recognised)])
    assert (found.errors, found.words) == (errors, words)


def test_utterances_are_summed_and_none_is_undefined():
    found = word_errors([("a b", "a"), ("c d e f", "c d e f")])
    assert found.rate == 1 / 6 and found.utterances == 2
    assert math.isnan(word_errors([]).rate)


def slowly(first: tuple[str, ...], second: tuple[str, ...]) -> int:
    @cache
    def edits(i: int, j: int) -> int:
        if not i or not j:
            return i + j
        return min(edits(i - 1, j) + 1, edits(i, j - 1) + 1, edits(i - 1, j - 1) + (first[i - 1] != second[j - 1]))

    return edits(len(first), len(second))


WORDS = st.lists(st.sampled_from("abc"), max_size=7)


@given(WORDS, WORDS)
def test_edits_are_the_fewest(first, second):
    found = word_errors([(" ".join(first), " ".join(second))])
    assert found.errors == slowly(tuple(first), tuple(second))
    assert found.errors <= max(len(first), len(second))


def test_punctuation_and_case_do_not_count():
    assert plain_words("  “NO!” — said Ann's  dog; ") == ["no", "said", "ann's", "dog"]
