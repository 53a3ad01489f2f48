"""A study as Markdown: its tables and sentences."""

from __future__ import annotations

from emotune.report.metric_names import metric_name
from emotune.studies.curve import curve_rows, in_words, key_name, points_of
from emotune.studies.results import StudyResult, TestResult
from emotune.studies.table import cells_of, rows_of
from emotune.studies.words import about, below_chance, choices, choosing, counted, notes_of, title_of, verdicts


def markdown(result: StudyResult) -> str:
    """The tables and verdicts as Markdown."""
    lines = [f"# {result.name}", "", *(f"**{sentence}**\n" for sentence in below_chance(result))]
    lines += [*([result.description, ""] if result.description else []), about(result), ""]
    lines += [f"> {notice}\n" for notice in result.notices]
    lines += [f"Missing: {item}\n" for item in result.missing]
    for test in result.tests:
        for metric in test.comparison.scores:
            lines += [f"## {title_of(test)}: {metric_name(metric)}", "", f"{counted(test)}", ""]
            lines += _curve(result, test, metric)
            heads = ["step", "what changes", f"development {metric_name(result.chosen_by)}", metric_name(metric)]
            heads += ["against", "difference", "p", "corrected p", "s a run", "parameters (trained)"]
            lines += [_line(heads), _line(["---"] * len(heads))]
            lines += [
                _line(cells_of(row)) for row in rows_of(result) if (row["test"], row["metric"]) == (test.name, metric)
            ]
            lines += ["", *(f"- {item}" for item in verdicts(test, metric)), ""]
    if any(step.choice for step in result.steps):
        lines += [
            "## Chosen on development",
            "",
            choosing(result),
            "",
            *(f"- {item}" for item in choices(result)),
            "",
        ]
    notes = notes_of(result)
    lines += ["## Notes", "", *(f"- {note}" for note in notes), ""] if notes else []
    return "\n".join(lines)


def _curve(result: StudyResult, test: TestResult, metric: str) -> list[str]:
    """A line for each step over the values of a key; none in a study without a curve."""
    if result.curve is None:
        return []
    rows = curve_rows(result.curve, points_of(result.curve, test, metric))
    heads = [key_name(result.curve.key), *(f"{value:g}" for value in result.curve.values)]
    cells = [[name, *("–" if point is None else in_words(point) for point in points)] for name, points in rows]
    return [_line(heads), _line(["---"] * len(heads)), *map(_line, cells), ""]


def _line(cells: list[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"
