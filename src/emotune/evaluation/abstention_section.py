"""The report's section on answering only where the model is sure."""

from __future__ import annotations

from emotune.evaluation import figures
from emotune.evaluation.abstention import PROMISED, Answered
from emotune.evaluation.markup import figure, number, pair, paragraph, scored, section, table
from emotune.evaluation.result import Evaluation


def abstention_section(evaluation: Evaluation) -> str:
    """Risk against coverage, a table of levels, and the threshold that development promised."""
    found = evaluation.abstention
    if found is None:
        return ""
    rows = [_row(f"{item.coverage.value:.0%}".replace("%", "\u00a0%"), item) for item in found.levels]
    if found.promised is not None:
        rows.append((f"the model's own threshold, for {PROMISED:.0%} of development".replace("%", "\u00a0%"),))
        rows.append(_row(f"{found.promised.coverage.value:.0%}".replace("%", "\u00a0%"), found.promised))
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
            + paragraph(_said(evaluation), "")
            + paragraph(
                "Area under the curve: "
                f"{number(found.area.value)}; of a confidence that says nothing, {number(found.levels[0].wrong)}."
                " UAR is over the classes that are left among the answered.",
                "hint",
            ),
        ),
    )


def _row(name: str, item: Answered) -> tuple[object, ...]:
    return name, number(item.threshold), scored(item.accuracy), scored(item.uar)


def _said(evaluation: Evaluation) -> str:
    found = evaluation.abstention
    assert found is not None
    if found.promised is None:
        return (
            "The model does not say which confidence would answer how many clips: these thresholds are of this split."
        )
    share, accuracy, everything = found.promised.coverage.value, found.promised.accuracy.value, found.levels[0].accuracy
    return (
        f"emotune predict --coverage {PROMISED:g} would have answered {share:.0%} of these clips,"
        f" {accuracy:.0%} of them rightly, against {everything.value:.0%} of all."
    ).replace("%", "\u00a0%")
