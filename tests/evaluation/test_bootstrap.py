"""The bootstrap over speakers: what it draws, that sums are enough, and that its intervals mean what they say."""

import math

import numpy as np
import pytest
import scipy.stats

from emotune.evaluation.statistics.bootstrap import (
    UNIT,
    ClusterBootstrap,
    Estimate,
    cluster_codes,
    draws,
    mean_estimate,
    percentile_interval,
)
from emotune.evaluation.statistics.t_distribution import t_cdf, t_quantile
from emotune.metrics.classes import accuracy_of, confusion_matrices, macro_f1, macro_f1_of, uar, uar_of
from emotune.metrics.dimensions import ccc, ccc_of, grouped_moments


def speech(speakers: int = 9, utterances: int = 200, seed: int = 0):
    """Class truth and prediction of speakers who differ in how well they are understood, in any order."""
    generator = np.random.default_rng(seed)
    speaker = generator.integers(speakers, size=utterances)
    truth = generator.integers(3, size=utterances)
    skill = generator.uniform(0.2, 0.95, size=speakers)[speaker]
    right = generator.random(utterances) < skill
    return speaker, truth, np.where(right, truth, generator.integers(3, size=utterances))


def matrices(speaker, truth, prediction, speakers):
    return confusion_matrices(truth, prediction, classes=3, groups=speaker, group_count=speakers)


@pytest.mark.parametrize(("of", "plain"), [(uar_of, uar), (macro_f1_of, macro_f1)])
def test_it_is_the_naive_bootstrap_with_the_same_draws_exactly(of, plain):
    speaker, truth, prediction = speech()
    bootstrap = ClusterBootstrap(matrices(speaker, truth, prediction, 9), resamples=60, seed=5)
    assert bootstrap.resampled is not None
    tail = scipy.stats.norm.cdf(-math.sqrt(9 / 8) * scipy.stats.t.ppf(0.975, 8))
    naive = []
    for counts in np.concatenate(list(draws(9, resamples=60, seed=5))):
        rows = np.concatenate([np.repeat(np.flatnonzero(speaker == one), n) for one, n in enumerate(counts)])
        naive.append(plain(truth[rows], prediction[rows]))
    np.testing.assert_allclose(of(bootstrap.resampled), naive, rtol=1e-12)
    estimate = bootstrap.estimate(of)
    assert (estimate.low, estimate.high) == pytest.approx(tuple(np.quantile(naive, [tail, 1 - tail])))
    assert estimate.value == pytest.approx(plain(truth, prediction))


def test_moments_give_the_naive_bootstrap_of_ccc():
    generator = np.random.default_rng(3)
    speaker = generator.integers(6, size=90)
    truth = generator.normal(3, 1, size=90)
    prediction = truth + generator.normal(size=90) + generator.normal(size=6)[speaker]
    moments = grouped_moments(truth, prediction, groups=speaker, group_count=6)
    bootstrap = ClusterBootstrap(moments, resamples=40, seed=1)
    assert bootstrap.resampled is not None
    naive = []
    for counts in np.concatenate(list(draws(6, resamples=40, seed=1))):
        rows = np.concatenate([np.repeat(np.flatnonzero(speaker == one), n) for one, n in enumerate(counts)])
        naive.append(ccc(truth[rows], prediction[rows]))
    np.testing.assert_allclose(ccc_of(bootstrap.resampled), naive, rtol=1e-9)


def test_each_resample_draws_as_many_clusters_as_there_are():
    counts = np.concatenate(list(draws(7, resamples=300, seed=0)))
    assert counts.shape == (300, 7)
    assert set(counts.sum(axis=1)) == {7}
    assert counts.mean(axis=0) == pytest.approx(np.ones(7), abs=0.2)


def test_the_seed_decides_the_draws_and_blocks_do_not():
    whole = np.concatenate(list(draws(5, resamples=50, seed=2)))
    blocks = list(draws(5, resamples=50, seed=2, most_counts=35))
    assert len(blocks) > 1
    np.testing.assert_equal(np.concatenate(blocks), whole)
    assert not np.array_equal(np.concatenate(list(draws(5, resamples=50, seed=3))), whole)


def test_an_utterance_without_a_speaker_is_a_cluster_of_its_own():
    codes = cluster_codes([None, "a", "b", "a", None])
    assert codes[1] == codes[3]
    assert len(set(codes.tolist())) == 4


def test_one_cluster_has_a_value_and_no_interval():
    estimate = ClusterBootstrap(np.array([[[3, 1], [0, 4]]])).estimate(accuracy_of)
    assert estimate.value == 7 / 8
    assert math.isnan(estimate.low)
    assert math.isnan(estimate.high)
    assert not estimate.has_interval


def test_no_cluster_is_nan_throughout():
    assert math.isnan(ClusterBootstrap(np.zeros((0, 2, 2))).estimate(accuracy_of).value)


def test_resamples_in_which_a_score_is_undefined_are_left_out_of_the_interval():
    low, high = percentile_interval(np.array([[0.2, math.nan], [math.nan, math.nan], [0.4, math.nan]]), clusters=10**6)
    np.testing.assert_allclose(low, [0.205, math.nan])
    np.testing.assert_allclose(high, [0.395, math.nan])


def test_speakers_that_differ_widen_the_interval_beyond_that_of_utterances():
    speaker, truth, prediction = speech(speakers=12, utterances=1200, seed=1)

    def width(clusters, count):
        estimate = ClusterBootstrap(matrices(clusters, truth, prediction, count), seed=0).estimate(uar_of)
        return estimate.high - estimate.low

    assert width(speaker, 12) > 1.8 * width(np.arange(1200), 1200)


def test_the_interval_holds_the_truth_about_as_often_as_it_says():
    generator = np.random.default_rng(0)
    held, trials, speakers = 0, 200, 30
    for trial in range(trials):
        skill = generator.beta(6, 4, size=speakers)  # mean .6
        hits = generator.binomial(20, skill)
        statistics = np.stack([hits, np.full(speakers, 20)], axis=1)
        estimate = ClusterBootstrap(statistics, resamples=400, seed=trial).estimate(lambda s: s[..., 0] / s[..., 1])
        held += estimate.low <= 0.6 <= estimate.high
    assert 0.88 <= held / trials <= 0.99


def test_an_estimate_as_json_has_value_and_bounds():
    assert Estimate(0.5, 0.4, 0.6).to_json() == {"value": 0.5, "low": 0.4, "high": 0.6}


@pytest.mark.parametrize("degrees", [1, 2, 3, 4, 9, 10, 99, 1999])
def test_quantiles_of_t_are_those_of_scipy(degrees):
    for probability in (0.025, 0.5, 0.8, 0.975, 0.9999):
        expected = scipy.stats.t.ppf(probability, degrees)
        assert t_quantile(probability, degrees) == pytest.approx(expected, rel=1e-9, abs=1e-12)
        assert t_cdf(expected, degrees) == pytest.approx(probability)


def test_many_degrees_of_freedom_are_nearly_normal():
    assert t_quantile(0.975, 2000) == pytest.approx(scipy.stats.t.ppf(0.975, 2000), abs=0.002)


def test_for_a_mean_of_ten_clusters_the_interval_is_about_that_by_t():
    values = np.random.default_rng(0).normal(size=10)
    statistics = np.stack([values, np.ones(10)], axis=1)
    found = ClusterBootstrap(statistics, resamples=20000, seed=0).estimate(lambda s: s[..., 0] / s[..., 1])
    low, high = scipy.stats.t.interval(0.95, 9, loc=values.mean(), scale=scipy.stats.sem(values))
    assert found.high - found.low == pytest.approx(high - low, rel=0.05)


@pytest.mark.parametrize("speakers", [3, 8, 40])
def test_where_every_speaker_is_understood_the_interval_is_the_exact_one_over_speakers(speakers):
    truth = np.tile([0, 1, 2], 4 * speakers)
    speaker = np.repeat(np.arange(speakers), 12)
    exact = scipy.stats.binomtest(speakers, speakers).proportion_ci(0.95, method="exact")
    right = ClusterBootstrap(matrices(speaker, truth, truth, speakers))
    wrong = ClusterBootstrap(matrices(speaker, truth, (truth + 1) % 3, speakers))
    for measure in (uar_of, accuracy_of, macro_f1_of):
        found = right.estimate(measure, within=UNIT)
        assert (found.value, found.low, found.high) == pytest.approx((1, exact.low, 1))
        found = wrong.estimate(measure, within=UNIT)
        assert (found.value, found.low, found.high) == pytest.approx((0, 0, 1 - exact.low))
        assert right.estimate(measure) == Estimate(1, 1, 1)  # of what may be beyond
    assert mean_estimate([right, right], uar_of, within=UNIT).low == pytest.approx(exact.low)


def test_only_speakers_who_have_a_score_count_and_scores_between_the_edges_stay():
    hits_and_counts = np.array([[[5, 5], [5, 10]]] * 3 + [[[0, 0], [5, 10]]] * 5)
    bootstrap = ClusterBootstrap(hits_and_counts, seed=0)
    with np.errstate(invalid="ignore"):
        full, half = bootstrap.estimates(lambda sums: sums[..., 0] / sums[..., 1], within=UNIT)
    assert full.low == pytest.approx(scipy.stats.binomtest(3, 3).proportion_ci(0.95, method="exact").low)
    assert (half.low, half.high) == (0.5, 0.5)


@pytest.mark.parametrize("share", [0.99, 0.9, 0.7])
def test_intervals_of_speakers_who_are_nearly_all_understood_hold_the_truth(share):
    """Speakers are understood, or not at all: the worst case for what nobody has seen."""
    generator = np.random.default_rng(0)
    held = []
    for _ in range(300):
        speakers = np.stack([20 * (generator.random(8) < share), np.full(8, 20)], axis=1)
        found = ClusterBootstrap(speakers, resamples=200).estimate(lambda s: s[..., 0] / s[..., 1], within=UNIT)
        held.append(found.low <= share <= found.high)
    assert np.mean(held) >= 0.93
