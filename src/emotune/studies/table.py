"""Table of a study: a row for each test, metric and step with results, as values and as people read them."""

from __future__ import annotations

import math
from collections.abc import Iterator

from emotune.evaluation.comparing.verdicts import p_text
from emotune.io.tables import Row
from emotune.report.numbers import number
from emotune.studies.results import StepResult, StudyResult, TestResult

COLUMNS = (
    "test", "metric", "step", "against", "changes", "runs", "development", "score", "low", "high", "difference",
    "difference_low", "difference_high", "p", "corrected_p", "detectable", "seconds", "parameters", "trainable",
    "verdict",
)  # fmt: skip


def rows_of(result: StudyResult) -> Iterator[Row]:
    """One row for each test, metric and step with results: the content of every table."""
    for test in result.tests:
        for metric in test.comparison.scores:
            for step in result.steps:
                if step.name in test.comparison.scores[metric]:
                    yield _row(result, test, metric, step)


def _row(result: StudyResult, test: TestResult, metric: str, step: StepResult) -> Row:
    score = test.comparison.scores[metric][step.name]
    row: Row = {
        "test": test.name,
        "metric": metric,
        "step": step.name,
        "against": step.against,
        "changes": changes_text(step),
        "runs": test.comparison.runs[step.name],
        "development": step.development,
        "score": score.value,
        "low": score.low,
        "high": score.high,
        "seconds": step.seconds,
        "parameters": step.parameters,
        "trainable": step.trainable,
    }
    found = test.difference(step.name, metric)
    if found is not None:
        row |= {
            "difference": found.estimate.value,
            "difference_low": found.estimate.low,
            "difference_high": found.estimate.high,
            "p": found.p,
            "corrected_p": found.corrected_p,
            "detectable": found.detectable,
            "verdict": found.verdict,
        }
    return row


def changes_text(step: StepResult) -> str:
    """Changes of a step, in words."""
    if step.changes:
        shown = "; ".join(step.changes[:6]) + (f"; and {len(step.changes) - 6} more" if len(step.changes) > 6 else "")
        return shown
    return f"recipe {step.recipe}" if step.recipe else "nothing"


def cells_of(row: Row) -> list[str]:
    """A row as people read it: step, changes, development, score, against, difference, p twice, seconds, parameters."""
    has_difference = "difference" in row
    return [
        row["step"],
        row["changes"],
        number(row["development"]),
        bounded(row["score"], row["low"], row["high"]),
        f"{row['against']}{'' if has_difference else ' (no results)'}" if row["against"] else "–",
        bounded(row["difference"], row["difference_low"], row["difference_high"], "+") if has_difference else "–",
        p_text(row["p"]) if has_difference else "–",
        p_text(row["corrected_p"]) if has_difference else "–",
        seconds(row["seconds"]),
        _parameters(row["parameters"], row["trainable"]),
    ]


def bounded(value: float, low: float, high: float, sign: str = "") -> str:
    """A score and its bounds, or a dash for what is undefined."""
    if not math.isfinite(value):
        return "–"
    bounds = f" [{low:{sign}.3f}, {high:{sign}.3f}]" if math.isfinite(low) and math.isfinite(high) else ""
    return f"{value:{sign}.3f}{bounds}"


def seconds(value: float) -> str:
    """Whole seconds, or a dash where they are not known."""
    return f"{value:,.0f}" if math.isfinite(value) else "–"


def _parameters(together: int | None, trained: int | None) -> str:
    """All parameters, encoder included, and in brackets those that train where they are not all."""
    if together is None:
        return "–"
    return _count(together) if trained in (None, together) else f"{_count(together)} ({_count(trained)})"


def _count(value: int) -> str:
    return f"{value / 1e6:.1f} M" if value >= 1e6 else f"{value:,}"
