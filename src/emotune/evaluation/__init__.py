"""Evaluation without torch: scores, intervals over speakers, and a report (``emotune.report.evaluation_page``)."""

from emotune.evaluation.evaluate import evaluate, scores
from emotune.evaluation.result import Evaluation

__all__ = ["Evaluation", "evaluate", "scores"]
