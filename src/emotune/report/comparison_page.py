"""A comparison's page: compare.json for machines and compare.html, which needs no other file."""

from __future__ import annotations

from pathlib import Path

from emotune.evaluation.comparing.comparison import Comparison, Difference
from emotune.evaluation.comparing.verdicts import p_text
from emotune.io.tables import to_json, write_text
from emotune.report import figures
from emotune.report.markup import (
    bullets,
    document,
    figure,
    interval,
    number,
    pair,
    paragraph,
    scored,
    section,
    table,
    text,
)
from emotune.report.sections import metric_name


def write_comparison(folder: Path, comparison: Comparison) -> None:
    """Write ``compare.json`` and ``compare.html`` into a folder, each atomically.

    Raises:
        TableError: when the folder cannot be written to.
    """
    write_text(folder / "compare.json", to_json(comparison.to_json()) + "\n")
    write_text(folder / "compare.html", page(comparison))


def page(comparison: Comparison) -> str:
    """The whole page as HTML."""
    title = f"Comparison of {' and '.join(_listed(list(comparison.runs)))}"
    parts = [_headline(comparison, title), _notes(comparison)]
    parts += [_metric(comparison, metric) for metric in comparison.scores]
    who = _resampled(comparison)
    footer = (
        f"Written by emotune. Intervals: 95 %, expanded percentile bootstrap over {who}; p: two-sided paired test that"
        f" swaps the two systems' predictions by {who}. {comparison.resamples} resamples, seed {comparison.seed}."
        " The same figures for machines: compare.json."
    )
    return document(title, "\n".join(part for part in parts if part), footer)


def _listed(names: list[str]) -> list[str]:
    return [", ".join(names[:-1]), names[-1]] if len(names) < 5 else [names[0], f"{len(names) - 1} others"]


def _resampled(comparison: Comparison) -> str:
    return "speakers" if comparison.speakers else "utterances"


def _headline(comparison: Comparison, title: str) -> str:
    of = f" of {comparison.utterances}" if comparison.compared != comparison.utterances else ""
    who = f"{comparison.speakers} speakers" if comparison.speakers else "speakers unknown"
    verdicts = [f"{metric_name(item.metric)}: {item.verdict}" for item in comparison.differences]
    return "\n".join(
        [
            f"<header>\n<h1>{text(title)}</h1>",
            paragraph(f"{comparison.compared}{of} utterances, answered by all systems; {who}.", "lead"),
            *(paragraph(sentence, "notice") for sentence in comparison.below_chance),
            bullets(verdicts),
            "</header>",
        ]
    )


def _metric(comparison: Comparison, metric: str) -> str:
    name = metric_name(metric)
    scores = comparison.scores[metric]
    differences = [item for item in comparison.differences if item.metric == metric]
    drawn = figures.forest(
        list(scores.items()),
        label=name,
        reference=None,
        description="; ".join(f"{system} {number(score.value)} {interval(score)}" for system, score in scores.items()),
    )
    shown = [(_title(item), item.estimate) for item in differences]
    gaps = figures.forest(
        shown,
        label=f"difference in {name}",
        reference=0.0,
        description="; ".join(f"{title} {score.value:+.3f} {interval(score)}" for title, score in shown),
    )
    rows = [
        (
            _title(item),
            scored(item.estimate),
            p_text(item.p),
            p_text(item.corrected_p),
            number(item.detectable),
        )
        for item in differences
    ]
    return section(
        metric.replace(".", "-"),
        name,
        pair(
            figure(drawn, f"{name} of each system with its 95 % interval.") + _score_table(comparison, metric, name),
            figure(gaps, "Differences with their 95 % intervals; dashed: none.")
            + table(["difference", "value", "p", "corrected p", "detectable"], rows),
        ),
        paragraph(
            "Intervals of two systems may overlap although their difference is sure: it is taken on the same speakers."
            " Detectable: the true difference that this test set finds with a probability of 80 %.",
            "hint",
        ),
    )


def _score_table(comparison: Comparison, metric: str, name: str) -> str:
    several = any(count > 1 for count in comparison.runs.values())
    rows = [
        (system, scored(score), *([comparison.runs[system]] if several else []))
        for system, score in comparison.scores[metric].items()
    ]
    return table(["system", name, *(["runs"] if several else [])], rows)


def _title(item: Difference) -> str:
    return f"{item.system} − {item.baseline}"


def _notes(comparison: Comparison) -> str:
    if not comparison.notes and not comparison.left_out:
        return ""
    rows = [(item.reason, item.count, ", ".join(item.examples)) for item in comparison.left_out]
    return section(
        "notes",
        "What to know before reading",
        bullets(comparison.notes) if comparison.notes else "",
        table(["Not compared", "utterances", "such as"], rows, kind="skipped") if rows else "",
    )
