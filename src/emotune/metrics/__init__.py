"""Metrics in numpy alone, fast enough for a bootstrap over speakers; an undefined score is NaN.

``METRICS`` is the table of those that give one number, f(truth, prediction) -> float. By ``compares``, the two are

- ``classes``: class indices and class indices, each of shape (utterances,);
- ``values``: annotated and predicted values of one dimension, each of shape (utterances,);
- ``probabilities``: class indices (utterances,) and probabilities (utterances, classes);
- ``distributions``: shares of the votes and probabilities, each (utterances, classes).

Functions that end in ``_of`` answer from sums over utterances: confusion matrices, moments or bins of confidence.
"""

from emotune.metrics.classes import accuracy, macro_f1, macro_f1_true_classes, uar
from emotune.metrics.dimensions import ccc, pearson, rmse
from emotune.metrics.distributions import (
    cosine_similarity,
    jensen_shannon,
    kl_divergence,
    multilabel_macro_f1,
    multilabel_micro_f1,
    soft_macro_f1,
    top_agreement,
)
from emotune.metrics.metric import Metric
from emotune.metrics.probabilities import brier_score, expected_calibration_error, negative_log_likelihood
from emotune.registry import Registry

METRICS: Registry[Metric] = Registry(
    "metric",
    {
        "uar": Metric(uar, compares="classes", perfect=1.0),
        "macro_f1": Metric(macro_f1, compares="classes", perfect=1.0),
        "macro_f1_true_classes": Metric(macro_f1_true_classes, compares="classes", perfect=1.0),
        "micro_f1": Metric(accuracy, compares="classes", perfect=1.0),
        "accuracy": Metric(accuracy, compares="classes", perfect=1.0),
        "ccc": Metric(ccc, compares="values", perfect=1.0),
        "pearson": Metric(pearson, compares="values", perfect=1.0),
        "rmse": Metric(rmse, compares="values", perfect=0.0),
        "expected_calibration_error": Metric(expected_calibration_error, compares="probabilities", perfect=0.0),
        "brier_score": Metric(brier_score, compares="probabilities", perfect=0.0),
        "negative_log_likelihood": Metric(negative_log_likelihood, compares="probabilities", perfect=0.0),
        "jensen_shannon": Metric(jensen_shannon, compares="distributions", perfect=0.0),
        "kl_divergence": Metric(kl_divergence, compares="distributions", perfect=0.0),
        "cosine_similarity": Metric(cosine_similarity, compares="distributions", perfect=1.0),
        "top_agreement": Metric(top_agreement, compares="distributions", perfect=1.0),
        "soft_macro_f1": Metric(soft_macro_f1, compares="distributions", perfect=1.0),
        "multilabel_macro_f1": Metric(multilabel_macro_f1, compares="distributions", perfect=1.0),
        "multilabel_micro_f1": Metric(multilabel_micro_f1, compares="distributions", perfect=1.0),
    },
)
"""All metrics by name; ``METRICS["uar"](truth, prediction)`` is a number."""

__all__ = ["METRICS", "Metric"]
