"""Priors estimated from answers alone."""

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import softmax

from emotune.schema.prior import estimated_prior


def test_the_estimate_is_the_most_likely_prior_by_a_general_optimiser():
    generator = np.random.default_rng(0)
    true = np.array([0.6, 0.3, 0.1])
    trained = np.array([0.2, 0.3, 0.5])
    x = generator.normal([-1.5, 0.0, 1.5], 1.0, (3000, 3))[np.arange(3000), generator.choice(3, 3000, p=true)]
    likelihood = np.exp(-((x[:, None] - np.array([-1.5, 0.0, 1.5])) ** 2) / 2)
    answers = likelihood * trained / (likelihood * trained).sum(axis=1, keepdims=True)
    best = minimize(lambda z: -np.log(likelihood @ softmax(z)).mean(), np.zeros(3), tol=1e-10)
    found = estimated_prior(answers, trained)
    np.testing.assert_allclose(found, softmax(best.x), atol=2e-4)
    np.testing.assert_allclose(found, true, atol=0.04)


def test_answers_that_say_nothing_leave_the_trained_prior():
    np.testing.assert_allclose(estimated_prior(np.tile([0.7, 0.3], (5, 1)), [0.7, 0.3]), [0.7, 0.3])


def test_a_class_that_is_never_answered_gets_no_share():
    found = estimated_prior([[1.0, 0.0], [1.0, 0.0]], [0.5, 0.5])
    assert found == pytest.approx([1, 0], abs=1e-9)
