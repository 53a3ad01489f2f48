"""The rule of adaptation on answers alone: what is taken away, and what is guarded."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import log_softmax, softmax
from scipy.stats import entropy

from emotune.inference.adaptation.rule import (
    FEW_CLIPS,
    TRUST,
    WHOLE_CORPUS,
    Shift,
    corpus_shift_of,
    offsets_of,
    shift_of,
)
from emotune.schema.prior import with_offsets

CLASSES = 4
WAY = np.array([1.75, 0.75, -1.25, -1.25])


def answers_to(truth: np.ndarray, *, way: np.ndarray = WAY, seed: int = 0) -> np.ndarray:
    """Answers of a model that hears a speaker's way as emotion: three for the true class, the way, and noise."""
    noise = np.random.default_rng(seed).normal(0, 0.5, (len(truth), CLASSES))
    return softmax(3 * np.eye(CLASSES)[truth] + way + noise, axis=1)


def test_a_speaker_of_all_emotions_loses_the_way_and_keeps_the_emotions():
    truth = np.repeat(np.arange(CLASSES), 10)
    answers = answers_to(truth)
    shift = shift_of(answers)
    moved = with_offsets(answers, offsets_of(shift, None))
    np.testing.assert_allclose(shift.mean, WAY, atol=0.3)
    assert shift.strength > 0.25
    assert (moved.argmax(axis=1) == truth).mean() > (answers.argmax(axis=1) == truth).mean() + 0.1


@pytest.mark.parametrize("mood", range(CLASSES))
@pytest.mark.parametrize("clips", [2, 3, 10, 200])
def test_a_speaker_of_one_mood_is_not_moved(mood, clips):
    answers = answers_to(np.full(clips, mood), way=np.zeros(CLASSES), seed=mood)
    shift = shift_of(answers)
    assert shift.strength == 0
    assert offsets_of(shift, None) is None


def test_clips_that_all_get_the_same_unsure_answer_move_nothing():
    assert shift_of(np.tile([0.3, 0.25, 0.25, 0.2], (30, 1))).strength == 0


def test_a_single_clip_moves_nothing():
    assert shift_of([[0.1, 0.2, 0.3, 0.4]]).strength == 0


def test_the_strength_is_what_scipy_says_of_spread_and_information():
    answers = answers_to(np.array([0, 0, 1, 1, 2, 2, 3, 3]), way=np.array([1.0, 0.0, 0.0, -0.5]))
    logits = np.log(answers)
    mean = (logits - logits.mean(axis=1, keepdims=True)).mean(axis=0)

    def information(values: np.ndarray) -> float:
        return entropy(values.mean(axis=0)) - entropy(values, axis=1).mean()

    parts = [
        ((math.exp(entropy(answers.mean(axis=0))) - 1) / (CLASSES - 1), TRUST.even),
        (information(answers), TRUST.told_apart),
        (information(np.exp(log_softmax(logits - mean, axis=1))) - information(answers), TRUST.better),
    ]
    trusts = [float(np.interp(value, ends, (0, 1))) for value, ends in parts]
    shift = shift_of(answers)
    np.testing.assert_allclose(shift.mean, mean, rtol=1e-12)
    assert shift.strength == pytest.approx(len(answers) / (len(answers) + FEW_CLIPS) * np.prod(trusts), rel=1e-9)
    assert 0 < shift.strength < 1


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 30), st.integers(2, 8), st.integers(0, 10_000))
def test_the_order_of_clips_changes_no_bit(clips, classes, seed):
    generator = np.random.default_rng(seed)
    answers = softmax(generator.normal(0, 3, (clips, classes)), axis=1)
    shift = shift_of(answers)
    assert shift == shift_of(answers[generator.permutation(clips)])
    assert 0 <= shift.strength <= clips / (clips + FEW_CLIPS)


def test_a_corpus_whose_speakers_are_all_in_one_mood_is_not_trusted():
    """Each voice is heard in its own way, so that all clips together look like several emotions."""
    ways = np.random.default_rng(0).normal(0, 4, (12, CLASSES))
    answers = [answers_to(np.full(10, 2), way=way, seed=n) for n, way in enumerate(ways)]
    own = [shift_of(values) for values in answers]
    assert shift_of(np.concatenate(answers)).strength > 0.3
    assert corpus_shift_of(np.concatenate(answers), own).strength < 0.05


def test_a_corpus_is_trusted_as_far_as_its_speakers():
    answers = answers_to(np.tile(np.arange(CLASSES), 10), way=np.array([1.0, 0.0, 0.0, -0.5]))
    whole = shift_of(answers)
    assert whole.strength > 0.3

    def own(trust: float, clips: int) -> Shift:
        return Shift(clips, (0.0,) * CLASSES, trust * clips / (clips + FEW_CLIPS))

    for trusts, expected in (((1.0, 1.0), 1.0), ((0.0, 0.0), 0.0), ((0.3, 0.0), 0.3 * 30 / 40 / WHOLE_CORPUS)):
        found = corpus_shift_of(answers, [own(trusts[0], 30), own(trusts[1], 10)])
        assert found.mean == whole.mean
        assert found.strength == pytest.approx(whole.strength * expected)


def test_what_is_not_trusted_of_a_speaker_comes_from_the_corpus():
    own, corpus = Shift(10, (1.0, -1.0), 0.75), Shift(500, (0.4, -0.4), 0.5)
    np.testing.assert_allclose(offsets_of(own, corpus), [-(0.75 + 0.25 * 0.5 * 0.4), 0.75 + 0.25 * 0.5 * 0.4])
    np.testing.assert_allclose(offsets_of(None, corpus), [-0.2, 0.2])
    np.testing.assert_allclose(offsets_of(own, None), [-0.75, 0.75])
    assert offsets_of(None, None) is None
    assert offsets_of(Shift(1, (1.0, -1.0), 0.0), Shift(2, (1.0, -1.0), 0.0)) is None
