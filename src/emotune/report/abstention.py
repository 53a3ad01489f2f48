"""The report's section on answering only where the model is sure."""

from __future__ import annotations

from emotune.evaluation.abstention import PROMISED, Abstention, OperatingPoint
from emotune.evaluation.result import Evaluation
from emotune.report import figures
from emotune.report.markup import figure, number, pair, paragraph, percent, scored, section, table


def abstention_section(evaluation: Evaluation) -> str:
    """Risk against coverage, a table of levels, and the threshold that development promised."""
    found = evaluation.abstention
    if found is None:
        return ""
    rows = [_row(item) for item in found.levels]
    if found.promised is not None:
        rows.append((f"the model's own threshold, for {percent(PROMISED)} of development",))
        rows.append(_row(found.promised))
    return section(
        "abstention",
        "If it may say 'uncertain'",
        pair(
            figure(
                figures.risk_coverage(found),
                "Share of wrong answers when only the most confident clips are answered. Dashed: without abstaining;"
                " dotted: the best that any confidence could do.",
            ),
            table(["answered", "from confidence", "accuracy", "UAR"], rows)
            + paragraph(_said(found))
            + paragraph(
                "Area under the curve: "
                f"{number(found.area.value)}; of a confidence that says nothing, {number(found.levels[0].wrong)}."
                " UAR is over the classes that are left among the answered.",
                "hint",
            ),
        ),
    )


def _row(item: OperatingPoint) -> tuple[object, ...]:
    return percent(item.coverage.value), number(item.threshold), scored(item.accuracy), scored(item.uar)


def _said(found: Abstention) -> str:
    if found.promised is None:
        return (
            "The model does not say which confidence would answer how many clips: these thresholds are of this split."
        )
    return (
        f"emotune predict --coverage {PROMISED:g} would have answered {percent(found.promised.coverage.value)} of these"
        f" clips, {percent(found.promised.accuracy.value)} of them rightly, against"
        f" {percent(found.levels[0].accuracy.value)} of all."
    )
