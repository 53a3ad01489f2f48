"""Shifts of the classes: prior correction, and thresholds fitted on development."""

import dataclasses
import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders import predictions
from builders.manifests import manifest_of, utterances
from builders.predictions import softmax
from emotune.errors import ConfigError
from emotune.fusion.offsets import best_offsets, fit_thresholds, shifted
from emotune.metrics import METRICS
from emotune.schema.labels import LabelSpace
from emotune.schema.manifest import Manifest
from emotune.schema.predictions import Prediction, Predictions
from emotune.schema.prior import prior_offsets

CLASSES = ("anger", "sadness", "neutral")


def table_of(probabilities: np.ndarray) -> Predictions:
    return dataclasses.replace(predictions.table_of(probabilities, CLASSES), model_fingerprint="abc")


def values_of(table: Predictions) -> np.ndarray:
    return np.array([list(row.probabilities.values()) for row in table])


def test_prior_correction_is_bayes_rule():
    """Two Gaussians: the corrected posterior under the training prior is the exact posterior under the other prior."""
    x = np.linspace(-3, 3, 31)
    likelihood = np.stack([np.exp(-((x - mean) ** 2) / 2) for mean in (-1.0, 0.0, 1.5)], axis=1)
    trained, wanted = np.array([0.7, 0.2, 0.1]), np.array([0.2, 0.3, 0.5])

    def posterior(prior: np.ndarray) -> np.ndarray:
        joint = likelihood * prior
        return joint / joint.sum(axis=1, keepdims=True)

    named = (dict(zip(CLASSES, shares.tolist(), strict=True)) for shares in (trained, wanted))
    found = shifted(table_of(posterior(trained)), prior_offsets(*named))
    np.testing.assert_allclose(values_of(found), posterior(wanted), atol=1e-9)
    assert found.model_fingerprint is None


@given(st.lists(st.floats(0.01, 1), min_size=3, max_size=3), st.lists(st.floats(0.01, 1), min_size=3, max_size=3))
@settings(max_examples=40, deadline=None)
def test_there_and_back_changes_nothing(one, other):
    one, other = (dict(zip(CLASSES, shares, strict=True)) for shares in (one, other))
    values = np.random.default_rng(0).dirichlet([1, 1, 1], 5)
    back = shifted(shifted(table_of(values), prior_offsets(one, other)), prior_offsets(other, one))
    np.testing.assert_allclose(values_of(back), values, atol=1e-6)


def test_a_prior_of_zero_excludes_a_class_and_the_same_prior_changes_nothing():
    values = np.random.default_rng(0).dirichlet([1, 1, 1], 5)
    uniform = dict.fromkeys(CLASSES, 1 / 3)
    excluded = values_of(shifted(table_of(values), prior_offsets(uniform, {**uniform, "sadness": 0.0})))
    np.testing.assert_allclose(excluded[:, 1], 0)
    np.testing.assert_allclose(excluded[:, 0], values[:, 0] / (values[:, 0] + values[:, 2]))
    np.testing.assert_allclose(values_of(shifted(table_of(values), prior_offsets(uniform, uniform))), values)


def test_failed_rows_stay_and_abstaining_ends():
    space = LabelSpace(("anger", "neutral"))
    rows = (Prediction("a", error="broken"), Prediction("b", {"anger": 0.6, "neutral": 0.4}, uncertain=True))
    found = shifted(Predictions(rows, space), {"anger": 0.0, "neutral": math.log(4)})
    assert found.rows[0] == rows[0]
    assert found.rows[1].emotion == "neutral"
    assert found.rows[1].probabilities["neutral"] == pytest.approx(1.6 / 2.2)


def test_impossible_priors_are_refused():
    uniform = dict.fromkeys(CLASSES, 1 / 3)
    with pytest.raises(ConfigError, match="model's classes are"):
        prior_offsets(uniform, {"anger": 1.0})
    with pytest.raises(ConfigError, match="trained prior of sadness"):
        prior_offsets({**uniform, "sadness": 0.0}, uniform)
    with pytest.raises(ConfigError, match="wanted prior of anger"):
        prior_offsets(uniform, {**uniform, "anger": -1.0})
    with pytest.raises(ConfigError, match="Offsets are of anger"):
        shifted(table_of(np.full((1, 3), 1 / 3)), {"anger": 0.0})


@pytest.mark.parametrize("metric", ["macro_f1", "uar", "accuracy"])
def test_the_search_finds_what_an_exhaustive_one_finds(metric):
    generator = np.random.default_rng(4)
    truth = generator.choice(3, 40, p=[0.7, 0.2, 0.1])
    logits = np.log(generator.dirichlet([1, 1, 1], 40)) + np.eye(3)[truth] * 0.8 + [1.0, 0, 0]
    found = best_offsets(truth, logits, metric=metric, seed=0)
    assert found[0] == 0
    reached = METRICS[metric](truth, (logits + found).argmax(axis=1))
    grid = np.linspace(-4, 4, 81)
    best = max(METRICS[metric](truth, (logits + np.array([0, b, c])).argmax(axis=1)) for b, c in product(grid, grid))
    assert reached >= best - 1e-9
    assert reached >= METRICS[metric](truth, logits.argmax(axis=1))


@given(seed=st.integers(0, 30), classes=st.integers(2, 4), utterances=st.integers(3, 40))
@settings(max_examples=30, deadline=None)
def test_offsets_never_lose_on_what_they_are_fitted_on(seed, classes, utterances):
    generator = np.random.default_rng(seed)
    truth, logits = generator.integers(0, classes, utterances), generator.normal(size=(utterances, classes))
    found = best_offsets(truth, logits, metric="macro_f1", seed=seed)
    before, after = (METRICS["macro_f1"](truth, (logits + b).argmax(axis=1)) for b in (0.0, found))
    assert after >= before - 1e-9
    assert np.array_equal(found, best_offsets(truth, logits, metric="macro_f1", seed=seed))


def skewed(size: int = 900) -> tuple[Manifest, Predictions]:
    """A model that says neutral too often."""
    generator = np.random.default_rng(0)
    truth = generator.integers(0, 3, size)
    logits = generator.normal(size=(size, 3)) + np.eye(3)[truth] * 2 + [0, 0, 2.5]
    emotions = [CLASSES[label] for label in truth]
    rows = utterances(size, speaker=lambda n: f"s{n % 12}", split="development", emotion=emotions)
    return manifest_of(*rows, classes=CLASSES), table_of(softmax(logits))


def test_thresholds_undo_a_bias_and_report_on_other_speakers():
    manifest, table = skewed()
    fitted = fit_thresholds(manifest, table)
    assert fitted.offsets["neutral"] == pytest.approx(-2.5, abs=0.5)
    assert fitted.reported_on[1] > fitted.reported_on[0] + 0.1
    assert fitted.fitted_on[1] > fitted.fitted_on[0]
    assert sum(fitted.utterances) == 900
    with pytest.raises(ConfigError, match="Thresholds are of classes"):
        fit_thresholds(manifest, table, metric="ccc")
