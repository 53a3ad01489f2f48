"""Metrics against values worked out by hand, and what they say where they are undefined."""

import math

import numpy as np
import pytest

from emotune.metrics.classes import (
    accuracy,
    confusion_matrices,
    confusion_matrix,
    f1s_of,
    macro_f1,
    macro_f1_of,
    macro_f1_true_classes,
    precisions_of,
    recalls_of,
    supports_of,
    uar,
    uar_of,
)
from emotune.metrics.dimensions import ccc, ccc_of, grouped_moments, pearson, pearson_of, rmse, rmse_of
from emotune.metrics.probabilities import (
    brier_score,
    calibration_error_of,
    confidence_bins,
    expected_calibration_error,
    negative_log_likelihood,
)

TRUTH = [0, 0, 0, 0, 1, 1, 2]
PREDICTION = [0, 0, 0, 1, 1, 0, 1]


def test_rows_of_the_confusion_matrix_are_the_truth():
    assert confusion_matrix([0, 0, 1], [1, 1, 1], classes=2).tolist() == [[0, 2], [0, 1]]


def test_uar_is_the_mean_of_recalls_worked_out_by_hand():
    assert uar(TRUTH, PREDICTION) == pytest.approx((3 / 4 + 1 / 2 + 0) / 3)


def test_macro_f1_is_the_mean_of_f1_worked_out_by_hand():
    assert macro_f1(TRUTH, PREDICTION) == pytest.approx((2 * 3 / (4 + 4) + 2 * 1 / (2 + 3) + 0) / 3)


def test_accuracy_counts_utterances_not_classes():
    assert accuracy(TRUTH, PREDICTION) == pytest.approx(4 / 7)


def test_a_class_that_is_only_predicted_is_a_zero_in_macro_f1_alone():
    assert uar([0, 0, 1], [0, 2, 1]) == pytest.approx((1 / 2 + 1) / 2)
    assert macro_f1([0, 0, 1], [0, 2, 1]) == pytest.approx((2 / 3 + 1 + 0) / 3)
    assert macro_f1_true_classes([0, 0, 1], [0, 2, 1]) == pytest.approx((2 / 3 + 1) / 2)


def test_no_answer_is_wrong_but_no_class_of_its_own():
    answered = confusion_matrix([0, 0, 1, 1], [0, 0, 1, 2], classes=3)  # 2 stands for no answer here
    counts = answered[:2]
    assert float(macro_f1_of(counts)) == pytest.approx((1 + 2 * 1 / (2 + 1)) / 2)
    assert float(uar_of(counts)) == pytest.approx((1 + 1 / 2) / 2)
    np.testing.assert_allclose(precisions_of(counts), [1, 1])


def test_recall_is_nan_for_an_absent_class_and_precision_for_one_never_predicted():
    confusion = confusion_matrix([0, 0, 1], [0, 2, 0], classes=4)
    np.testing.assert_equal(supports_of(confusion), [2, 1, 0, 0])
    np.testing.assert_allclose(recalls_of(confusion), [0.5, 0, math.nan, math.nan])
    np.testing.assert_allclose(precisions_of(confusion), [0.5, math.nan, 0, math.nan])
    np.testing.assert_allclose(f1s_of(confusion), [0.5, 0, 0, math.nan])


def test_stacked_matrices_give_what_each_gives_alone():
    generator = np.random.default_rng(0)
    truth, prediction, groups = generator.integers(4, size=(3, 200))
    stacked = confusion_matrices(truth, prediction, classes=4, groups=groups, group_count=4)
    alone = [uar(truth[groups == group], prediction[groups == group]) for group in range(4)]
    np.testing.assert_allclose(uar_of(stacked), alone)
    np.testing.assert_equal(stacked.sum(axis=0), confusion_matrix(truth, prediction, classes=4))


def test_an_index_beyond_the_classes_is_an_error_that_says_so():
    with pytest.raises(ValueError, match="Class index 3, but there are 2 classes"):
        confusion_matrix([0, 3], [0, 1], classes=2)


@pytest.mark.parametrize(("truth", "prediction"), [([0, 1], [-1, 1]), ([0.5, 1.0], [0.0, 1.0])])
def test_what_is_not_a_class_index_is_an_error(truth, prediction):
    with pytest.raises(ValueError, match="indices"):
        uar(truth, prediction)


def test_ccc_punishes_a_shift_and_pearson_does_not():
    truth = np.array([0.0, 1.0, 2.0])
    assert pearson(truth, truth + 1) == pytest.approx(1.0)
    assert ccc(truth, truth + 1) == pytest.approx(2 * (2 / 3) / (2 / 3 + 2 / 3 + 1))
    assert rmse(truth, truth + 1) == pytest.approx(1.0)


def test_ccc_of_equal_constants_or_one_value_is_nan():
    assert math.isnan(ccc([0.1, 0.1, 0.1], [0.1, 0.1, 0.1]))
    assert math.isnan(ccc([1.0], [1.0]))
    assert math.isnan(ccc([], []))


def test_a_collapsed_model_has_a_ccc_of_zero_and_no_pearson():
    assert ccc([1.0, 2.0, 3.0], [0.7, 0.7, 0.7]) == 0.0
    assert math.isnan(pearson([1.0, 2.0, 3.0], [0.7, 0.7, 0.7]))


def test_moments_lose_nothing_when_values_are_far_from_zero():
    generator = np.random.default_rng(0)
    truth = generator.normal(size=500)
    prediction = truth + generator.normal(size=500)
    assert ccc(truth + 1e6, prediction + 1e6) == pytest.approx(ccc(truth, prediction), abs=1e-8)
    assert pearson(truth, prediction + 1e6) == pytest.approx(pearson(truth, prediction), abs=1e-8)


def test_summed_moments_of_groups_give_the_scores_of_all():
    generator = np.random.default_rng(1)
    truth, prediction = generator.normal(3, 2, size=(2, 300))
    groups = generator.integers(7, size=300)
    moments = grouped_moments(truth, prediction, groups=groups, group_count=7)
    for of, whole in ((ccc_of, ccc), (pearson_of, pearson), (rmse_of, rmse)):
        assert float(of(moments.sum(axis=0))) == pytest.approx(whole(truth, prediction))
        one = groups == 3
        assert float(of(moments)[3]) == pytest.approx(whole(truth[one], prediction[one]))


def test_calibration_error_worked_out_by_hand():
    # Confidences .95 and .85 in two bins, one right, one wrong; a confidence of 1 belongs to the last bin.
    probabilities = [[0.95, 0.05], [0.85, 0.15], [1.0, 0.0]]
    assert expected_calibration_error([0, 1, 0], probabilities) == pytest.approx((0.05 + 0.85 + 0) / 3)


def test_bins_of_groups_add_up():
    generator = np.random.default_rng(2)
    probabilities = generator.dirichlet(np.ones(5), size=400)
    truth, groups = generator.integers(5, size=400), generator.integers(6, size=400)
    bins = confidence_bins(truth, probabilities, groups=groups, group_count=6)
    assert bins[..., 0].sum() == 400
    expected = expected_calibration_error(truth, probabilities)
    assert float(calibration_error_of(bins.sum(axis=0))) == pytest.approx(expected)


def test_brier_and_log_likelihood_worked_out_by_hand():
    probabilities = [[0.8, 0.1, 0.1], [0.2, 0.5, 0.3]]
    assert brier_score([0, 2], probabilities) == pytest.approx((0.04 + 0.01 + 0.01 + 0.04 + 0.25 + 0.49) / 2)
    assert negative_log_likelihood([0, 2], probabilities) == pytest.approx(-(math.log(0.8) + math.log(0.3)) / 2)


def test_a_probability_of_zero_for_the_truth_costs_much_but_not_infinity():
    assert negative_log_likelihood([1], [[1.0, 0.0]]) == pytest.approx(-math.log(1e-12))


def test_probabilities_that_do_not_fit_the_truth_are_an_error():
    with pytest.raises(ValueError, match="probabilities"):
        brier_score([0, 1], [[1.0, 0.0]])
    with pytest.raises(ValueError, match="from 0 to 1"):
        brier_score([2], [[1.0, 0.0]])
