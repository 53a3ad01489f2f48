"""The report's section on whom the model works for: sentences, a picture of the genders' recalls, the figures."""

from __future__ import annotations

from collections.abc import Sequence

from emotune.evaluation.fairness import Fairness, GroupComparison
from emotune.evaluation.groups import GENDER
from emotune.evaluation.result import Evaluation
from emotune.report import figures
from emotune.report.fairness_words import conclusions
from emotune.report.markup import bullets, figure, number, pair, paragraph, percent, scored, section, table


def fairness_section(evaluation: Evaluation) -> str:
    """Empty where no classes are scored."""
    fairness = evaluation.fairness
    if fairness is None:
        return ""
    counted = int(evaluation.confusion.sum())
    genders = fairness.compared_by(GENDER)
    return section(
        "fairness",
        "Who it works for",
        bullets(conclusions(fairness, scored=counted)),
        *(_gender(comparison) for comparison in genders[:1]),
        _comparisons(fairness),
        paragraph(
            "Differences are the first group less the second, over the classes that both have, with 95 % intervals over"
            " speakers (Welch's, each speaker left out once). Said / true: share of the answers, and of the truth, that"
            " is this class.",
            "hint",
        )
        if fairness.comparisons
        else "",
    )


def _gender(comparison: GroupComparison) -> str:
    first, second = comparison.first.name, comparison.second.name
    drawn = figures.paired_dots(
        [item.name for item in comparison.classes],
        {
            first: [item.recalls[0] for item in comparison.classes],
            second: [item.recalls[1] for item in comparison.classes],
        },
        "recall",
    )
    rows: list[Sequence[object]] = [
        (
            item.name,
            scored(item.recall_gap),
            f"{percent(item.said[0])} / {percent(item.true[0])}",
            f"{percent(item.said[1])} / {percent(item.true[1])}",
        )
        for item in comparison.classes
    ]
    heads = ["class", "recall gap", f"{first}: said / true", f"{second}: said / true"]
    return pair(figure(drawn, f"Recall of each class, {first} and {second}."), table(heads, rows))


def _comparisons(fairness: Fairness) -> str:
    if not fairness.comparisons:
        return ""
    rows = []
    for item in fairness.comparisons:
        largest = max(item.classes, key=lambda one: abs(one.recall_gap.value))
        rows.append(
            (
                f"{item.first.name}, {item.second.name}",
                scored(item.first.uar),
                scored(item.second.uar),
                scored(item.difference),
                f"{largest.name} {number(largest.recall_gap.value)}",
                f"{item.first.speakers or '–'}, {item.second.speakers or '–'}",
            )
        )
    heads = ["groups", "UAR, first", "UAR, second", "difference", "largest recall gap", "speakers"]
    return table(heads, rows)
