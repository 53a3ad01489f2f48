"""The meta-classifier: its gradient, what it learns, that folds keep speakers apart, that a seed repeats it."""

import numpy as np
import pytest

from emotune.errors import ConfigError
from emotune.fusion.fuse import check_method
from emotune.fusion.meta_classifier import _forward, _slopes, fit
from emotune.fusion.objective import Objective
from emotune.metrics.classes import uar_of
from emotune.schema.softmax import softmax


def answers(truth, classes, skill, seed):
    """Probabilities of systems with a chosen skill each, shape (systems, utterances, classes)."""
    generator = np.random.default_rng(seed)
    return np.stack(
        [softmax(np.eye(classes)[truth] * one + generator.normal(0, 1, (len(truth), classes))) for one in skill]
    )


def test_its_gradient_is_that_of_finite_differences():
    generator = np.random.default_rng(0)
    features, wanted = generator.normal(size=(7, 5)), generator.random((7, 3))
    layers = [generator.normal(size=shape) for shape in ((5, 4), (4,), (4, 3), (3,))]

    def loss(parts):
        return float(-(wanted * np.log(softmax(_forward(features, parts)[1]))).sum() / len(features))

    for number, slope in enumerate(_slopes(features, wanted, layers)):
        for place in np.ndindex(slope.shape):
            moved = [layer.copy() for layer in layers]
            moved[number][place] += 1e-6
            up = loss(moved)
            moved[number][place] -= 2e-6
            assert slope[place] == pytest.approx((up - loss(moved)) / 2e-6, abs=1e-6)


def test_it_finds_what_no_weighted_sum_can():
    """A system that always swaps two classes: every sum of probabilities keeps the fault."""
    generator = np.random.default_rng(3)
    truth = generator.integers(0, 4, 600)
    swapped = np.array([0, 1, 3, 2])[truth]
    values = answers(swapped, 4, (4.0,), 1)
    fitted = fit(values[:, :300], Objective(truth[:300].astype(float), "uar", 4), seed=0)
    found = fitted.combine(values[:, 300:])
    counts = np.zeros((4, 4), dtype=int)
    np.add.at(counts, (truth[300:], found.argmax(axis=1)), 1)
    assert uar_of(counts) > 0.9
    np.testing.assert_allclose(found.sum(axis=1), 1.0)


def test_the_same_seed_gives_the_same_and_another_another():
    truth = np.random.default_rng(0).integers(0, 3, 90)
    values, objective = answers(truth, 3, (1.0, 1.0), 2), Objective(truth.astype(float), "macro_f1", 3)
    first, again, other = (fit(values, objective, seed=seed).combine(values) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 1e-6


def test_what_it_cannot_do_is_refused():
    with pytest.raises(ConfigError, match="two classes"):
        fit(np.full((2, 5, 3), 1 / 3), Objective(np.ones(5), "uar", 3), seed=0)
    with pytest.raises(ConfigError, match="--method meta is of classes"):
        check_method("meta", "ccc")
