"""Metrics of distributions are those of SciPy and scikit-learn, and of plain loops over their definitions."""

import math

import numpy as np
import pytest
import scipy.stats
import sklearn.metrics
from scipy.spatial.distance import cosine, jensenshannon

from emotune.metrics import METRICS
from emotune.metrics.classes import macro_f1
from emotune.metrics.distributions import (
    cosine_similarity,
    entropies,
    jensen_shannon,
    jensen_shannon_divergences,
    kl_divergence,
    multilabel_macro_f1,
    multilabel_micro_f1,
    soft_macro_f1,
    top_agreement,
)

CLASSES = 5


def tables(seed: int, size: int = 200) -> tuple[np.ndarray, np.ndarray]:
    """Votes of one to nine annotators as shares, with zeros and ties among them, and probabilities."""
    generator = np.random.default_rng(seed)
    chances = generator.dirichlet(np.full(CLASSES, 0.7), size=size)
    counts = np.array([generator.multinomial(generator.integers(1, 10), row) for row in chances])
    return counts / counts.sum(axis=1, keepdims=True), generator.dirichlet(np.full(CLASSES, 0.6), size=size)


@pytest.mark.parametrize("seed", range(4))
def test_divergences_and_similarities_are_those_of_scipy(seed):
    truth, prediction = tables(seed)
    distances = np.array([jensenshannon(t, p, base=2) for t, p in zip(truth, prediction, strict=True)])
    np.testing.assert_allclose(jensen_shannon_divergences(truth, prediction), distances**2, atol=1e-12)
    assert jensen_shannon(truth, prediction) == pytest.approx(np.mean(distances**2))
    assert kl_divergence(truth, prediction) == pytest.approx(scipy.stats.entropy(truth, prediction, axis=1).mean())
    np.testing.assert_allclose(entropies(truth), scipy.stats.entropy(truth, base=2, axis=1), atol=1e-12)
    cosines = [1 - cosine(t, p) for t, p in zip(truth, prediction, strict=True)]
    assert cosine_similarity(truth, prediction) == pytest.approx(np.mean(cosines))


@pytest.mark.parametrize("seed", range(4))
def test_f1_of_the_classes_above_their_even_share_is_that_of_scikit_learn(seed):
    truth, prediction = tables(seed)
    there, said = truth > 1 / CLASSES + 1e-9, prediction > 1 / CLASSES + 1e-9
    macro = sklearn.metrics.f1_score(there, said, average="macro", zero_division=np.nan)
    assert multilabel_macro_f1(truth, prediction) == pytest.approx(macro)
    micro = sklearn.metrics.f1_score(there, said, average="micro", zero_division=0)
    assert multilabel_micro_f1(truth, prediction) == pytest.approx(micro)


@pytest.mark.parametrize("seed", range(4))
def test_soft_f1_and_top_agreement_are_those_of_a_slow_loop(seed):
    truth, prediction = tables(seed)
    f1s = []
    for c in range(CLASSES):
        hits = misses = false = 0.0
        for t, p in zip(truth[:, c], prediction[:, c], strict=True):
            both = min(t, p)
            hits, misses, false = hits + both, misses + (t - both), false + (p - both)
        f1s.append(2 * hits / (2 * hits + misses + false))
    assert soft_macro_f1(truth, prediction) == pytest.approx(sum(f1s) / CLASSES)
    agreeing = [max(range(CLASSES), key=p.__getitem__) in np.flatnonzero(t == t.max()) for t, p in
                zip(truth, prediction, strict=True)]  # fmt: skip
    assert top_agreement(truth, prediction) == pytest.approx(sum(agreeing) / len(agreeing))


def test_of_certain_rows_every_f1_is_the_ordinary_one():
    generator = np.random.default_rng(0)
    truth = generator.integers(0, 3, size=100)
    prediction = generator.integers(0, 4, size=100)  # class 3 is only predicted, class 4 never occurs
    rows = np.eye(CLASSES)
    expected = macro_f1(truth, prediction)
    assert expected == pytest.approx(sklearn.metrics.f1_score(truth, prediction, average="macro"))
    assert soft_macro_f1(rows[truth], rows[prediction]) == pytest.approx(expected)
    assert multilabel_macro_f1(rows[truth], rows[prediction]) == pytest.approx(expected)
    assert multilabel_micro_f1(rows[truth], rows[prediction]) == pytest.approx(np.mean(truth == prediction))
    assert jensen_shannon(rows[truth], rows[prediction]) == pytest.approx(np.mean(truth != prediction))


def test_an_even_share_is_not_present():
    even, some = np.full((1, CLASSES), 1 / CLASSES), np.eye(CLASSES)[:1]
    assert multilabel_macro_f1(even, some) == 0.0
    assert math.isnan(multilabel_macro_f1(even, even))
    assert multilabel_micro_f1(even, some) == 0.0
    assert math.isnan(multilabel_micro_f1(even, even))


def test_jensen_shannon_is_symmetric_and_finite_where_kl_is_not():
    truth, prediction = [[1.0, 0.0]], [[0.0, 1.0]]
    assert jensen_shannon(truth, prediction) == jensen_shannon(prediction, truth) == 1.0
    assert kl_divergence(truth, prediction) == pytest.approx(12 * math.log(10))


@pytest.mark.parametrize("name", [name for name in METRICS if METRICS[name].compares == "distributions"])
def test_rows_that_are_no_distributions_are_refused(name):
    with pytest.raises(ValueError, match="truth must hold shares"):
        METRICS[name]([[2.0, 1.0]], [[0.5, 0.5]])
    with pytest.raises(ValueError, match="prediction must hold shares"):
        METRICS[name]([[0.5, 0.5]], [[1.5, -0.5]])
    assert math.isfinite(METRICS[name]([[0.6, 0.4]], [[0.6004, 0.4]]))  # a table's rounding
