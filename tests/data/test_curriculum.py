"""What an epoch holds: easy utterances first, and a second stage of sampling."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders.manifests import manifest_of, utterances
from builders.recipes import sections_over
from emotune.config.recipe import Recipe
from emotune.data.curriculum import CurriculumDraws
from emotune.data.duration_batches import DurationBatches
from emotune.data.group_draws import GroupDraws
from emotune.errors import CorpusError
from emotune.training.sampling import draws_of


@given(st.lists(st.floats(0, 3), min_size=4, max_size=60), st.integers(0, 12), st.integers(0, 9))
def test_an_epoch_holds_the_easiest_share_about_equally_often_and_keeps_its_length(difficulty, epoch, seed):
    shares, epochs = [0.5, 0.6, 0.8, 0.9, 1.0], [0, 1, 3, 7, 11]
    draws = CurriculumDraws(difficulty, shares=shares, epochs=epochs)
    drawn = draws.draw(np.random.default_rng(seed), epoch)
    assert len(drawn) == len(difficulty)
    share = max(share for share, first in zip(shares, epochs, strict=True) if epoch >= first)
    times = Counter(drawn.tolist())
    assert len(times) == round(share * len(difficulty))
    assert max(times.values()) - min(times.values()) <= 1
    left_out = set(range(len(difficulty))) - set(times)
    assert max(difficulty[index] for index in times) <= min((difficulty[index] for index in left_out), default=9)


def test_steps_of_an_epoch_are_as_many_in_every_stage_and_no_batch_is_longer():
    generator = np.random.default_rng(0)
    durations = generator.uniform(1, 9, 200)
    draws = CurriculumDraws((-durations).tolist(), shares=[0.5, 1.0], epochs=[0, 1])  # the longest are the easiest
    sampler = DurationBatches(durations.tolist(), batch_seconds=40, draws=draws)
    for epoch in range(2):
        sampler.set_epoch(epoch)
        batches = list(sampler)
        assert len(batches) == len(sampler)
        assert np.mean([sum(durations[index] for _, index in batch) for batch in batches]) <= 40


def test_sampling_may_begin_in_a_later_epoch():
    draws = GroupDraws([0] * 9 + [1], from_epoch=4)
    for epoch, expected in ((3, {0: 9, 1: 1}), (4, {0: 5, 1: 5})):
        drawn = draws.draw(np.random.default_rng(0), epoch)
        assert Counter(int(index == 9) for index in drawn) == expected


def recipe(**train) -> Recipe:
    return Recipe.model_validate(sections_over("m.csv", train={"epochs": 12, **train}))


def test_votes_make_the_curriculum_and_it_needs_some():
    votes = [{"anger": 3.0}, {"anger": 1.0, "fear": 1.0}, {"anger": 2.0, "fear": 1.0}, {}]
    rows = utterances(4, emotion=lambda _: "anger", votes=votes, split=lambda _: "train")
    draws = draws_of(manifest_of(*rows, classes=("anger", "fear")), recipe(curriculum={}).train)
    assert draws is not None
    assert set(draws.draw(np.random.default_rng(0), 0).tolist()) == {0, 3}
    bare = manifest_of(*utterances(4, emotion=lambda _: "anger"), classes=("anger",))
    with pytest.raises(CorpusError, match=r"votes\.<class>"):
        draws_of(bare, recipe(curriculum={}).train)


@pytest.mark.parametrize(
    ("train", "said"),
    [
        ({"curriculum": {"shares": [0.5, 1.0]}}, "2 shares need as many epochs"),
        ({"curriculum": {"shares": [0.5, 0.9], "epochs": [0, 1]}}, "the last share 1"),
        ({"curriculum": {"shares": [0.9, 0.5, 1.0], "epochs": [0, 1, 2]}}, "shares must rise"),
        ({"curriculum": {}, "epochs": 5}, "some would never be heard"),
        ({"curriculum": {}, "sampling": "balanced"}, "leave out either"),
        ({"sampling": {"by": "class", "from_epoch": 12}}, "from_epoch is 12"),
        ({"sampling": {"from_epoch": 2}}, "needs by"),
    ],
)
def test_a_schedule_that_cannot_be_is_refused(train, said):
    with pytest.raises(ValueError, match=said):
        recipe(**train)


def test_equally_easy_utterances_come_from_all_over_a_manifest_that_is_sorted():
    draws = CurriculumDraws([0.0] * 200 + [1.0] * 200, shares=[0.25, 1.0], epochs=[0, 1])
    early = np.unique(draws.draw(np.random.default_rng(0), 0))
    assert len(early) == 100 and early.max() < 200
    assert 30 <= np.count_nonzero(early < 100) <= 70
