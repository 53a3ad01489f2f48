"""A metric and a degradation; nothing here needs torch."""

import numpy as np

from emotune.evaluation.robustness.degradations import Degradation
from emotune.metrics.metric import Metric


def largest_error(truth, prediction):
    return float(np.abs(truth - prediction).max()) if len(truth) else float("nan")


LARGEST_ERROR = Metric(largest_error, compares="values", perfect=0.0)
BACKWARDS = Degradation("order", "played backwards", lambda samples, _: samples[::-1].copy())
