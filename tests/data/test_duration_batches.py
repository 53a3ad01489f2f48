"""Every utterance once an epoch, in batches of similar duration."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emotune.data.duration_batches import DurationBatches

durations = st.lists(st.floats(0.1, 30), min_size=1, max_size=80)
limits = st.floats(0.5, 200)


def batches(sampler: DurationBatches, epoch: int) -> list[list[tuple[int, int]]]:
    sampler.set_epoch(epoch)
    return list(sampler)


@given(durations=durations, batch_seconds=limits, seed=st.integers(0, 9))
@settings(max_examples=100, deadline=None)
def test_every_utterance_comes_once_an_epoch_and_every_epoch_has_as_many_batches(durations, batch_seconds, seed):
    sampler = DurationBatches(durations, batch_seconds=batch_seconds, seed=seed)
    for epoch in range(3):
        found = batches(sampler, epoch)
        assert len(found) == len(sampler)
        assert all(found)
        assert {key[0] for batch in found for key in batch} == {epoch}
        assert sorted(index for batch in found for _, index in batch) == list(range(len(durations)))


@given(durations=durations, batch_seconds=limits, seed=st.integers(0, 9), epoch=st.integers(0, 5))
@settings(max_examples=50, deadline=None)
def test_seed_and_epoch_decide_and_what_came_before_does_not(durations, batch_seconds, seed, epoch):
    fresh = batches(DurationBatches(durations, batch_seconds=batch_seconds, seed=seed), epoch)
    used = DurationBatches(durations, batch_seconds=batch_seconds, seed=seed)
    batches(used, 0)
    np.random.default_rng(1).random()
    assert batches(used, epoch) == fresh == batches(used, epoch)


def test_epochs_and_seeds_differ_in_order_and_in_batch_mates():
    lengths = np.random.default_rng(0).uniform(1, 5, 200)
    sampler = DurationBatches(lengths, batch_seconds=30)
    mates = [{frozenset(index for _, index in batch) for batch in batches(sampler, epoch)} for epoch in range(3)]
    assert all(first != second for first, second in pairwise(mates))
    other = batches(DurationBatches(lengths, batch_seconds=30, seed=1), 0)
    assert other != batches(sampler, 0)


@pytest.mark.parametrize("spread", ["uniform", "lognormal"])
def test_little_is_padded_and_a_batch_holds_about_its_seconds(spread):
    generator = np.random.default_rng(0)
    lengths = generator.uniform(1, 6, 500) if spread == "uniform" else np.exp(generator.normal(1, 0.4, 500))
    sampler = DurationBatches(lengths, batch_seconds=40)
    found = [[lengths[index] for _, index in batch] for batch in batches(sampler, 0)]
    padded = sum(max(batch) * len(batch) for batch in found)
    random_order = generator.permutation(lengths)[: len(lengths) // 10 * 10].reshape(-1, 10)
    at_random = (random_order.max(axis=1) * 10).sum() / random_order.sum() - 1
    assert padded / lengths.sum() - 1 < min(0.25, at_random / 2)
    seconds = [sum(batch) for batch in found]
    assert np.mean(seconds) == pytest.approx(lengths.sum() / len(sampler))
    assert max(seconds) < 40 + 2 * lengths.max()
