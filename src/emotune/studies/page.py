"""A study's results: study.html for people, study.md and study.csv to go on with, study.json for machines."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from emotune.evaluation.comparing.verdicts import p_text, summary
from emotune.evaluation.statistics.bootstrap import Estimate
from emotune.io.tables import Row, to_json, write_rows, write_text
from emotune.protocols.folds import POOLED
from emotune.report import figures
from emotune.report.markup import (
    Cell,
    Markup,
    bullets,
    document,
    figure,
    heading,
    number,
    pair,
    paragraph,
    scored,
    section,
    table,
    text,
)
from emotune.report.sections import metric_name
from emotune.studies.choices import Choice
from emotune.studies.results import SCHEMA, StepResult, StudyResult, TestResult

COLUMNS = (
    "test", "metric", "step", "against", "changes", "runs", "development", "score", "low", "high", "difference",
    "difference_low", "difference_high", "p", "corrected_p", "detectable", "seconds", "parameters", "trainable",
    "verdict",
)  # fmt: skip


def write_study(folder: Path, result: StudyResult) -> None:
    """Write ``study.html``, ``study.md``, ``study.csv`` and ``study.json`` into a folder, each atomically.

    Raises:
        TableError: when the folder cannot be written to.
    """
    write_text(folder / "study.json", to_json(result.to_json()) + "\n")
    write_rows(folder / "study.csv", COLUMNS, list(rows_of(result)), {"schema": SCHEMA, "study": result.name})
    write_text(folder / "study.md", markdown(result))
    write_text(folder / "study.html", page(result))


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
    """What a step changes, in words."""
    if step.changes:
        shown = "; ".join(step.changes[:6]) + (f"; and {len(step.changes) - 6} more" if len(step.changes) > 6 else "")
        return shown
    return f"recipe {step.recipe}" if step.recipe else "nothing"


def markdown(result: StudyResult) -> str:
    """The tables and verdicts as Markdown."""
    lines = [f"# {result.name}", "", *(f"**{sentence}**\n" for sentence in below_chance(result))]
    lines += [*([result.description, ""] if result.description else []), _about(result), ""]
    lines += [f"> {notice}\n" for notice in result.notices]
    lines += [f"Missing: {item}\n" for item in result.missing]
    for test in result.tests:
        for metric in test.comparison.scores:
            lines += [f"## {_title(test)}: {metric_name(metric)}", "", f"{_counted(test)}", ""]
            heads = ["step", "what changes", f"development {metric_name(result.chosen_by)}", metric_name(metric)]
            heads += ["against", "difference", "p", "corrected p", "s a run", "parameters"]
            lines += [_line(heads), _line(["---"] * len(heads))]
            lines += [
                _line(cells_of(row)) for row in rows_of(result) if (row["test"], row["metric"]) == (test.name, metric)
            ]
            lines += ["", *(f"- {item}" for item in verdicts(test, metric)), ""]
    if any(step.choice for step in result.steps):
        lines += [
            "## Chosen on development",
            "",
            _choosing(result),
            "",
            *(f"- {item}" for item in _choices(result)),
            "",
        ]
    notes = notes_of(result)
    lines += ["## Notes", "", *(f"- {note}" for note in notes), ""] if notes else []
    return "\n".join(lines)


def _line(cells: list[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"


def cells_of(row: Row) -> list[str]:
    """A row as people read it: step, changes, development, score, against, difference, p twice, seconds, parameters."""
    has_difference = "difference" in row
    return [
        row["step"],
        row["changes"],
        number(row["development"]),
        _bounded(row["score"], row["low"], row["high"]),
        f"{row['against']}{'' if has_difference else ' (no results)'}" if row["against"] else "–",
        _bounded(row["difference"], row["difference_low"], row["difference_high"], "+") if has_difference else "–",
        p_text(row["p"]) if has_difference else "–",
        p_text(row["corrected_p"]) if has_difference else "–",
        _seconds(row["seconds"]),
        _count(row["parameters"]),
    ]


def _bounded(value: float, low: float, high: float, sign: str = "") -> str:
    if not math.isfinite(value):
        return "–"
    bounds = f" [{low:{sign}.3f}, {high:{sign}.3f}]" if math.isfinite(low) and math.isfinite(high) else ""
    return f"{value:{sign}.3f}{bounds}"


def _seconds(value: float) -> str:
    return f"{value:,.0f}" if math.isfinite(value) else "–"


def _count(value: int | None) -> str:
    if value is None:
        return "–"
    return f"{value / 1e6:.1f} M" if value >= 1e6 else f"{value:,}"


def page(result: StudyResult) -> str:
    """The whole page as HTML."""
    parts = [_headline(result)]
    parts += [_metric(result, test, metric) for test in result.tests for metric in test.comparison.scores]
    parts += [_chosen(result), _runs(result), _more_notes(result)]
    resamples = result.tests[0].comparison.resamples if result.tests else 0
    footer = (
        "Written by emotune. Intervals: 95 %, expanded percentile bootstrap over speakers; p: two-sided paired test"
        f" that swaps two steps' predictions by speaker, corrected (Holm) for the steps of one table. {resamples}"
        " resamples."
        " The same figures for machines: study.json, study.csv."
    )
    return document(f"Study {result.name}", "\n".join(part for part in parts if part), footer)


def _headline(result: StudyResult) -> str:
    first = [paragraph(sentence, "notice") for sentence in below_chance(result)]
    warnings = [paragraph(notice, "notice") for notice in result.notices]
    if result.missing:
        warnings.append(
            f'<div class="notice">Not everything is there; the same command continues.{bullets(result.missing)}</div>'
        )
    said = []
    for test in result.tests:
        said += [f"{_prefix(result, test)}{item}" for item in verdicts(test, result.metrics[0])]
    title = f"<header>\n<h1>{text(result.name)}</h1>"
    lead = paragraph(result.description, "lead") if result.description else ""
    return "\n".join([title, *first, lead, paragraph(_about(result), "hint"), *warnings, bullets(said), "</header>"])


def below_chance(result: StudyResult) -> list[str]:
    """For each test on which no step is shown to beat chance that it is so."""
    several = len(result.tests) > 1
    return [
        f"{_title(test)}: {sentence}" if several else sentence
        for test in result.tests
        for sentence in test.comparison.below_chance
    ]


def _prefix(result: StudyResult, test: TestResult) -> str:
    return f"{_title(test)}, {metric_name(result.metrics[0])}: " if len(result.tests) > 1 else ""


def _title(test: TestResult) -> str:
    return "all folds" if test.name == POOLED else test.name


def _about(result: StudyResult) -> str:
    steps = [step for step in result.steps if step.scored and not step.is_composed]
    common = f" In every step: {', '.join(result.common)}." if result.common else ""
    only = f" Predicted without labels: {', '.join(result.predicted_only)}." if result.predicted_only else ""
    how = {"train": "trained", "probe": "probed"}[result.kind]
    several = len(result.seeds) > 1
    seeds = f"{len(result.seeds)} seeds ({', '.join(map(str, result.seeds))})" if several else f"seed {result.seeds[0]}"
    others = [step.name for step in result.steps if not step.scored]
    beside = f" Trained for other steps alone: {', '.join(others)}." if others else ""
    return f"{len(steps)} steps, {how} with {seeds}.{beside}{common}{only}"


def verdicts(test: TestResult, metric: str) -> list[str]:
    """What the differences of one table say, in few sentences."""
    return summary([item for item in test.comparison.differences if item.metric == metric])


def _counted(test: TestResult) -> str:
    speakers = test.comparison.speakers
    who = f"{speakers} speakers" if speakers else "speakers unknown"
    return f"{test.comparison.compared} utterances, {who}."


def _metric(result: StudyResult, test: TestResult, metric: str) -> str:
    name = metric_name(metric)
    scores = test.comparison.scores[metric]
    ordered = [(step.name, scores[step.name]) for step in result.steps if step.name in scores]
    drawn = figures.forest(ordered, label=name, reference=None, description=_described(ordered, ""))
    differences = [item for item in test.comparison.differences if item.metric == metric]
    shown = [(f"{item.system} − {item.baseline}", item.estimate) for item in differences]
    gaps = (
        figures.forest(shown, label=f"difference in {name}", reference=0.0, description=_described(shown, "+"))
        if shown
        else ""
    )
    pictures = pair(
        figure(drawn, f"{name} of each step with its 95 % interval over speakers."),
        figure(gaps, "Each step minus what it is compared with; dashed: no difference.") if gaps else "",
    )
    return section(
        f"{test.name}-{metric}".replace(".", "-"),
        f"{_title(test)}: {name}",
        paragraph(_counted(test), "hint"),
        _table(result, test, metric),
        pictures,
        _helped(result, test) if metric == result.metrics[0] else "",
    )


def _described(rows: list[tuple[str, Estimate]], sign: str) -> str:
    return "; ".join(f"{name} {_bounded(score.value, score.low, score.high, sign)}" for name, score in rows)


def _table(result: StudyResult, test: TestResult, metric: str) -> str:
    changes = Cell('<th scope="col" class="text">what changes</th>')
    chosen_by = f"{metric_name(result.chosen_by)} on develop\u00adment"
    heads = ["step", changes, chosen_by, metric_name(metric), "difference", "p", "s a run", "para\u00admeters"]
    rows = []
    for row in rows_of(result):
        if (row["test"], row["metric"]) != (test.name, metric):
            continue
        cells = cells_of(row)
        found = test.difference(row["step"], metric)
        gap = p = "–"
        if found is not None:
            gap = Markup(f"{scored_signed(found.estimate).text}{_below(f'to {found.baseline}')}")
            p = Markup(f"{p_text(found.p)}{_below(f'corrected {p_text(found.corrected_p)}')}")
        elif row["against"]:
            gap = Markup(f"–{_below('no results of ' + row['against'])}")
        words = Cell(f'<td class="text">{text(row["changes"])}</td>')
        score = scored(test.comparison.scores[metric][row["step"]])
        rows.append((row["step"], words, cells[2], score, gap, p, *cells[8:]))
    return table(heads, rows)


def _below(content: str) -> str:
    return f'<span class="interval">{text(content)}</span>'


def scored_signed(score: Estimate) -> Markup:
    """A difference with its sign, and its interval, as a table cell's content."""
    if not math.isfinite(score.value):
        return Markup("–")
    bounds = f"[{score.low:+.3f}, {score.high:+.3f}]" if score.has_interval else ""
    return Markup(f'{score.value:+.3f} <span class="interval">{bounds}</span>')


def _helped(result: StudyResult, test: TestResult) -> str:
    if not test.helped:
        return ""
    rows = list(dict.fromkeys((item.system, item.baseline) for item in test.helped))
    kinds = list(dict.fromkeys((item.by, item.name, item.metric) for item in test.helped))
    cells = {(item.system, item.baseline, item.by, item.name): item.estimate for item in test.helped}
    columns = [(name, [cells.get((*row, by, name)) for row in rows]) for by, name, _ in kinds]
    parts = sum(by != "gender" for by, _, _ in kinds)
    drawn = figures.difference_map([f"{system} − {baseline}" for system, baseline in rows], columns, parts)
    of = ", ".join(
        f"{what} of each {by}" if by != "gender" else f"{what} of each gender"
        for by, what in dict.fromkeys((by, metric_name(metric)) for by, _, metric in kinds)
    )
    return heading("Which step helped whom") + figure(
        drawn,
        f"Difference in {of}; blue: better, orange: worse. Bold: the 95 % interval over speakers leaves out zero; it is"
        " not corrected, so of twenty places one is bold by chance.",
    )


def _choices(result: StudyResult) -> list[str]:
    return [_choice(result, step.name, step.choice) for step in result.steps if step.choice]


def _choice(result: StudyResult, name: str, choice: Choice) -> str:
    """What was chosen by which scores; and what all seeds say now, where it was chosen before some were there."""
    said = f"{name} starts from {choice.step}: mean development {metric_name(result.chosen_by)} "
    said += ", ".join(f"{one} {number(score)}" for one, score in choice.candidates.items())
    if choice.seeds == result.seeds:
        return said
    now = {step.name: step.development for step in result.steps if step.name in choice.candidates}
    seeds = f"seed{'s' * (len(choice.seeds) > 1)} {', '.join(map(str, choice.seeds))}"
    reached = ", ".join(f"{one} {number(score)}" for one, score in now.items())
    return f"{said}. It was chosen with {seeds} and kept since; over all finished seeds: {reached}"


def _choosing(result: StudyResult) -> str:
    if result.has_folds:
        return (
            "By the mean development score over the folds; who chooses in one fold is tested in another, see the notes."
        )
    return "Never on a test split; the first of equals."


def _chosen(result: StudyResult) -> str:
    found = _choices(result)
    if not found:
        return ""
    return section(
        "chosen",
        "Chosen on development",
        paragraph(_choosing(result), "hint"),
        bullets(found),
    )


def _runs(result: StudyResult) -> str:
    """Every run's score, so that the spread over seeds can be seen."""
    tests = [test.name for test in result.tests]
    rows: list[tuple[Any, ...]] = []
    for step in result.steps:
        for run in step.runs:
            scores = [number(test.of_runs.get(step.name, {}).get(run.seed, float("nan"))) for test in result.tests]
            rows.append((step.name, run.seed, number(run.development), *scores, _seconds(run.seconds)))
        if not step.runs:
            for seed in next((test.of_runs.get(step.name, {}) for test in result.tests), {}):
                scores = [number(test.of_runs.get(step.name, {}).get(seed, float("nan"))) for test in result.tests]
                rows.append((step.name, seed, "–", *scores, "–"))
    name = metric_name(result.metrics[0])
    heads = ["step", "seed", f"development {metric_name(result.chosen_by)}", *(f"{one} {name}" for one in tests), "s"]
    listed = table(heads, rows)
    return section("runs", "Every run", f"<details><summary>{len(rows)} runs</summary>{listed}</details>")


def notes_of(result: StudyResult) -> list[str]:
    """What to know before reading, each sentence once."""
    found = list(result.notes)
    for test in result.tests:
        found += test.comparison.notes
        found += [f"{item.reason}: {item.count}, such as {item.examples[0]}." for item in test.comparison.left_out]
    return list(dict.fromkeys(found))


def _more_notes(result: StudyResult) -> str:
    notes = notes_of(result)
    return section("notes", "What to know before reading", bullets(notes)) if notes else ""
