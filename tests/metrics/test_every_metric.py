"""What every metric in the table keeps to; a new entry is tested at once."""

import math

import numpy as np
import pytest

from emotune.errors import ConfigError
from emotune.metrics import METRICS, Metric

CLASSES = 4


def example(metric: Metric, size: int = 120, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Truth and a middling prediction in the form that the metric compares."""
    generator = np.random.default_rng(seed)
    if metric.compares == "values":
        truth = generator.normal(4, 1, size=size)
        return truth, truth + generator.normal(0.3, 1, size=size)
    truth = generator.integers(CLASSES, size=size)
    logits = generator.normal(size=(size, CLASSES)) + 1.5 * np.eye(CLASSES)[truth]
    if metric.compares == "classes":
        return truth, logits.argmax(axis=1)
    if metric.compares == "distributions":
        truth = generator.multinomial(5, np.full(CLASSES, 1 / CLASSES), size=size) / 5
    return truth, np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)


def perfect(metric: Metric, truth: np.ndarray) -> np.ndarray:
    return np.eye(CLASSES)[truth] if metric.compares == "probabilities" else truth


@pytest.mark.parametrize("name", METRICS)
def test_a_metric_gives_one_finite_number(name):
    score = METRICS[name](*example(METRICS[name]))
    assert type(score) is float
    assert math.isfinite(score)


@pytest.mark.parametrize("name", METRICS)
def test_a_perfect_prediction_gets_the_perfect_score_and_any_other_a_worse_one(name):
    metric = METRICS[name]
    truth, prediction = example(metric)
    assert metric(truth, perfect(metric, truth)) == pytest.approx(metric.perfect, abs=1e-9)
    worse = metric(truth, prediction)
    assert worse < metric.perfect if metric.greater_is_better else worse > metric.perfect


@pytest.mark.parametrize("name", METRICS)
def test_the_order_of_utterances_does_not_matter(name):
    truth, prediction = example(METRICS[name])
    order = np.random.default_rng(1).permutation(len(truth))
    assert METRICS[name](truth[order], prediction[order]) == pytest.approx(METRICS[name](truth, prediction))


@pytest.mark.parametrize("name", METRICS)
def test_every_utterance_twice_changes_nothing(name):
    truth, prediction = example(METRICS[name])
    twice = METRICS[name](np.concatenate([truth, truth]), np.concatenate([prediction, prediction]))
    assert twice == pytest.approx(METRICS[name](truth, prediction))


@pytest.mark.parametrize("name", METRICS)
def test_without_utterances_a_metric_is_nan(name):
    truth, prediction = example(METRICS[name])
    assert math.isnan(METRICS[name](truth[:0], prediction[:0]))


@pytest.mark.parametrize("name", METRICS)
def test_plain_lists_will_do(name):
    truth, prediction = example(METRICS[name])
    assert METRICS[name](truth.tolist(), prediction.tolist()) == METRICS[name](truth, prediction)


@pytest.mark.parametrize("name", METRICS)
def test_different_lengths_are_an_error(name):
    truth, prediction = example(METRICS[name])
    with pytest.raises(ValueError, match=r"utterances|equally long"):
        METRICS[name](truth, prediction[:-1])


def test_an_unknown_metric_suggests_the_likely_one():
    with pytest.raises(ConfigError, match="did you mean 'macro_f1'"):
        METRICS["macro_f2"]
