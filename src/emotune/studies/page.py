"""A study's results: study.html for people, study.md and study.csv to go on with, study.json for machines."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from emotune.evaluation.statistics.bootstrap import Estimate
from emotune.io.tables import to_json, write_rows, write_text
from emotune.report.figures.curves import score_over_values
from emotune.report.figures.difference_map import difference_map
from emotune.report.figures.dots import forest
from emotune.report.metric_names import metric_name
from emotune.report.numbers import number
from emotune.report.template import render
from emotune.studies.curve import curve_rows, key_name, points_of
from emotune.studies.markdown import markdown
from emotune.studies.results import SCHEMA, StudyResult, TestResult
from emotune.studies.table import COLUMNS, bounded, cells_of, rows_of, seconds
from emotune.studies.words import about, below_chance, choices, choosing, counted, notes_of, title_of, verdicts


def write_study(folder: Path, result: StudyResult) -> None:
    """Writes ``study.html``, ``study.md``, ``study.csv`` and ``study.json`` into a folder, each atomically.

    Raises:
        TableError: when the folder cannot be written to.
    """
    write_text(folder / "study.json", to_json(result.to_json()) + "\n")
    write_rows(folder / "study.csv", COLUMNS, list(rows_of(result)), {"schema": SCHEMA, "study": result.name})
    write_text(folder / "study.md", markdown(result))
    write_text(folder / "study.html", page(result))


def page(result: StudyResult) -> str:
    """The whole page as HTML."""
    return render(
        "study.html.j2",
        title=f"Study {result.name}",
        result=result,
        below_chance=below_chance(result),
        about=about(result),
        verdicts=_all_verdicts(result),
        chosen_by=metric_name(result.chosen_by),
        parts=[_part(result, test, metric) for test in result.tests for metric in test.comparison.scores],
        choices=choices(result),
        choosing=choosing(result),
        run_heads=_run_heads(result),
        runs=_runs(result),
        notes=notes_of(result),
        resamples=result.tests[0].comparison.resamples if result.tests else 0,
    )


def _all_verdicts(result: StudyResult) -> list[str]:
    """Conclusions by the first metric, each with its test where there are several."""
    first = result.metrics[0]
    several = len(result.tests) > 1
    return [
        f"{title_of(test)}, {metric_name(first)}: {sentence}" if several else sentence
        for test in result.tests
        for sentence in verdicts(test, first)
    ]


def _part(result: StudyResult, test: TestResult, metric: str) -> dict[str, object]:
    """One test by one metric: its table and figures."""
    name, scores = metric_name(metric), test.comparison.scores[metric]
    ordered = [(step.name, scores[step.name]) for step in result.steps if step.name in scores]
    differences = [
        (f"{item.system} − {item.baseline}", item.estimate)
        for item in test.comparison.differences
        if item.metric == metric
    ]
    return {
        "anchor": f"{test.name}-{metric}".replace(".", "-"),
        "title": title_of(test),
        "name": name,
        "counted": counted(test),
        "curve": _curve(result, test, metric),
        "lines": _lines(result, test, metric),
        "scores": forest(ordered, label=name, reference=None, description=_described(ordered, "")),
        "differences": forest(
            differences, label=f"difference in {name}", reference=0.0, description=_described(differences, "+")
        )
        if differences
        else None,
        "helped": _helped(test) if test.helped and metric == result.metrics[0] else None,
    }


def _curve(result: StudyResult, test: TestResult, metric: str) -> dict[str, object] | None:
    """Table and picture of the steps over the values of a key; None in a study without a curve."""
    if result.curve is None:
        return None
    points = points_of(result.curve, test, metric)
    lines = {name: [(point.value, point.score) for point in line] for name, line in points.items()}
    values = result.curve.values
    return {
        "heads": [key_name(result.curve.key), *(f"{value:g}" for value in values)],
        "rows": curve_rows(result.curve, points),
        "picture": score_over_values(
            lines,
            x_label=key_name(result.curve.key),
            y_label=metric_name(metric),
            logarithmic=min(values) > 0 and max(values) / min(values) > 5,
        ),
    }


def _described(rows: Sequence[tuple[str, Estimate]], sign: str) -> str:
    return "; ".join(f"{name} {bounded(score.value, score.low, score.high, sign)}" for name, score in rows)


def _lines(result: StudyResult, test: TestResult, metric: str) -> list[dict[str, object]]:
    """Rows of one table, a step each."""
    lines: list[dict[str, object]] = []
    for row in rows_of(result):
        if (row["test"], row["metric"]) == (test.name, metric):
            cells = cells_of(row)
            lines.append(
                {
                    "step": row["step"],
                    "changes": row["changes"],
                    "development": cells[2],
                    "score": test.comparison.scores[metric][row["step"]],
                    "found": test.difference(row["step"], metric),
                    "against": row["against"],
                    "seconds": cells[8],
                    "parameters": cells[9],
                }
            )
    return lines


def _helped(test: TestResult) -> dict[str, object]:
    """Differences by class or dimension and by gender, and what they are differences in."""
    rows = list(dict.fromkeys((item.system, item.baseline) for item in test.helped))
    kinds = list(dict.fromkeys((item.by, item.name, item.metric) for item in test.helped))
    cells = {(item.system, item.baseline, item.by, item.name): item.estimate for item in test.helped}
    columns = [(name, [cells.get((*row, by, name)) for row in rows]) for by, name, _ in kinds]
    parts = sum(by != "gender" for by, _, _ in kinds)
    named = dict.fromkeys((by, metric_name(metric)) for by, _, metric in kinds)
    return {
        "picture": difference_map([f"{system} − {baseline}" for system, baseline in rows], columns, parts),
        "of": ", ".join(f"{what} of each {by}" for by, what in named),
    }


def _run_heads(result: StudyResult) -> list[str]:
    name = metric_name(result.metrics[0])
    tests = [f"{test.name} {name}" for test in result.tests]
    return ["step", "seed", f"development {metric_name(result.chosen_by)}", *tests, "s"]


def _runs(result: StudyResult) -> list[tuple[str, list[object]]]:
    """Every run's score, so that the spread over seeds can be seen."""
    rows: list[tuple[str, list[object]]] = []
    for step in result.steps:
        of_tests = [test.of_runs.get(step.name, {}) for test in result.tests]
        runs = [(run.seed, number(run.development), seconds(run.seconds)) for run in step.runs]
        runs = runs or [(seed, "–", "–") for seed in next(iter(of_tests), {})]
        for seed, development, duration in runs:
            scores = [number(scored.get(seed, float("nan"))) for scored in of_tests]
            rows.append((step.name, [seed, development, *scores, duration]))
    return rows
