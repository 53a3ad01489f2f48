"""Names of metrics for people."""

from __future__ import annotations

from collections.abc import Iterable

NAMES = {"uar": "UAR", "macro_f1": "Macro-F1", "accuracy": "Accuracy"}
"""Metrics of classes that a report shows, and their names."""
_TRUE_CLASSES = "Macro-F1 of the true classes"


def metric_name(metric: str) -> str:
    """The metric's name for people.

    >>> metric_name("development_macro_f1"), metric_name("ccc.arousal")
    ('Macro-F1', 'CCC arousal')
    """
    plain = metric.removeprefix("development_")
    named = NAMES.get(plain) or (_TRUE_CLASSES if plain == "macro_f1_true_classes" else None)
    return named or plain.replace("ccc", "CCC").replace("_", " ").replace(".", " ")


def shown_metrics(metrics: Iterable[str]) -> list[str]:
    """Those that a report of one evaluation shows, in their order."""
    return [name for name in metrics if name in NAMES or name.startswith("ccc.")]
