"""Our metrics are those of audmetric and scikit-learn, and behave as scores must, on any data."""

import math

import audmetric
import numpy as np
import pytest
import sklearn.metrics
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.calibration import calibration_curve

from emotune.metrics import METRICS
from emotune.metrics.classes import (
    accuracy,
    confusion_matrix,
    f1s_of,
    macro_f1,
    macro_f1_true_classes,
    precisions_of,
    recalls_of,
    uar,
)
from emotune.metrics.dimensions import ccc, pearson, rmse
from emotune.metrics.probabilities import brier_score, confidence_bins, expected_calibration_error
from emotune.metrics.probabilities import negative_log_likelihood as log_likelihood

CLASSES = 6
indices = st.integers(0, CLASSES - 1)
pairs_of_classes = st.lists(st.tuples(indices, indices), min_size=1, max_size=60).map(lambda rows: np.array(rows).T)
values = st.floats(-100, 100, width=32)
pairs_of_values = st.integers(2, 40).flatmap(lambda n: arrays(np.float64, (2, n), elements=values))


def varied(row: np.ndarray) -> bool:
    return bool(np.ptp(row) > 1e-3)


@given(pairs_of_classes)
def test_class_metrics_are_those_of_scikit_learn_and_audmetric(pair):
    truth, prediction = pair
    present = sorted(set(truth.tolist()))
    assert uar(truth, prediction) == pytest.approx(
        sklearn.metrics.recall_score(truth, prediction, labels=present, average="macro", zero_division=0)
    )
    # audmetric counts a class that is only predicted as a recall of 0
    zeros = audmetric.unweighted_average_recall(truth.tolist(), prediction.tolist())
    assert uar(truth, prediction) * len(present) == pytest.approx(zeros * len(set(np.ravel(pair).tolist())))
    assert macro_f1(truth, prediction) == pytest.approx(sklearn.metrics.f1_score(truth, prediction, average="macro"))
    assert macro_f1(truth, prediction) == pytest.approx(
        audmetric.unweighted_average_fscore(truth.tolist(), prediction.tolist())
    )
    assert macro_f1_true_classes(truth, prediction) == pytest.approx(
        sklearn.metrics.f1_score(truth, prediction, labels=present, average="macro", zero_division=0)
    )
    assert accuracy(truth, prediction) == pytest.approx(sklearn.metrics.accuracy_score(truth, prediction))
    assert METRICS["micro_f1"](truth, prediction) == pytest.approx(
        sklearn.metrics.f1_score(truth, prediction, labels=range(CLASSES), average="micro")
    )


@pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true", "ignore:A single label was found")
@given(pairs_of_classes)
def test_uar_is_scikit_learns_balanced_accuracy(pair):
    assert uar(*pair) == pytest.approx(sklearn.metrics.balanced_accuracy_score(*pair))


@given(pairs_of_classes)
def test_scores_of_each_class_are_those_of_scikit_learn(pair):
    truth, prediction = pair
    labels = list(range(CLASSES))
    confusion = confusion_matrix(truth, prediction, classes=CLASSES)
    np.testing.assert_equal(confusion, sklearn.metrics.confusion_matrix(truth, prediction, labels=labels))
    precision, recall, f1, _ = sklearn.metrics.precision_recall_fscore_support(
        truth, prediction, labels=labels, zero_division=np.nan
    )
    np.testing.assert_allclose(precisions_of(confusion), precision)
    np.testing.assert_allclose(recalls_of(confusion), recall)
    np.testing.assert_allclose(f1s_of(confusion), f1)


@given(pairs_of_values)
def test_dimension_metrics_are_those_of_audmetric_and_scikit_learn(pair):
    truth, prediction = pair
    assert rmse(truth, prediction) == pytest.approx(
        math.sqrt(sklearn.metrics.mean_squared_error(truth, prediction)), abs=1e-9
    )
    if varied(truth) and varied(prediction):
        assert ccc(truth, prediction) == pytest.approx(audmetric.concordance_cc(truth, prediction), abs=1e-6)
        assert pearson(truth, prediction) == pytest.approx(audmetric.pearson_cc(truth, prediction), abs=1e-6)


@pytest.mark.parametrize(
    ("truth", "prediction"),
    [
        ([1, 1, 1], [1, 1, 1]),
        ([1, 1, 1], [2, 2, 2]),
        ([1, 1, 1], [1, 2, 3]),
        ([1, 2, 3], [2, 2, 2]),
        ([1], [2]),
    ],
)
def test_ccc_is_undefined_exactly_where_audmetric_has_it_so(truth, prediction):
    np.testing.assert_allclose(ccc(truth, prediction), audmetric.concordance_cc(truth, prediction), atol=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_probability_metrics_are_those_of_scikit_learn(seed):
    generator = np.random.default_rng(seed)
    probabilities = generator.dirichlet(np.full(CLASSES, 0.4), size=500)
    truth = np.array([generator.choice(CLASSES, p=row) for row in probabilities])
    labels = list(range(CLASSES))
    assert log_likelihood(truth, probabilities) == pytest.approx(
        sklearn.metrics.log_loss(truth, probabilities, labels=labels), abs=1e-6
    )
    one_column = [sklearn.metrics.brier_score_loss(truth == label, probabilities[:, label]) for label in labels]
    assert brier_score(truth, probabilities) == pytest.approx(sum(one_column))
    hit, confidence = probabilities.argmax(axis=1) == truth, probabilities.max(axis=1)
    accurate, confident = calibration_curve(hit, confidence, n_bins=10)
    bins = confidence_bins(truth, probabilities, groups=np.zeros(500, dtype=int), group_count=1)[0]
    bins = bins[bins[:, 0] > 0]
    np.testing.assert_allclose(bins[:, 1] / bins[:, 0], confident)
    np.testing.assert_allclose(bins[:, 2] / bins[:, 0], accurate)
    weighted = np.average(np.abs(accurate - confident), weights=bins[:, 0])
    assert expected_calibration_error(truth, probabilities) == pytest.approx(weighted)


def test_rounding_does_not_make_a_ccc_out_of_constants():
    # audmetric 1.4 says 1.0 here, since the mean of seven times 0.1 is not quite 0.1.
    assert math.isnan(ccc([0.1] * 7, [0.1] * 7))


@given(pairs_of_classes)
def test_class_metrics_lie_between_zero_and_one(pair):
    for metric in (uar, macro_f1, macro_f1_true_classes, accuracy):
        assert 0 <= metric(*pair) <= 1


@settings(max_examples=50)
@given(pairs_of_classes, st.randoms(use_true_random=False))
def test_renaming_the_classes_changes_nothing(pair, random):
    names = list(range(CLASSES))
    random.shuffle(names)
    renamed = np.array(names)[pair]
    for metric in (uar, macro_f1, macro_f1_true_classes, accuracy):
        assert metric(*renamed) == pytest.approx(metric(*pair))


@given(pairs_of_values)
def test_ccc_is_at_most_the_size_of_pearson_and_both_lie_in_minus_one_to_one(pair):
    concordance, correlation = ccc(*pair), pearson(*pair)
    assert math.isnan(concordance) or -1 - 1e-9 <= concordance <= 1 + 1e-9
    assert math.isnan(correlation) or abs(concordance) <= abs(correlation) + 1e-9
