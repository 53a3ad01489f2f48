"""A comparison's page: compare.json for machines and compare.html, which needs no other file."""

from __future__ import annotations

from pathlib import Path

from emotune.evaluation.comparing.comparison import Comparison
from emotune.evaluation.statistics.bootstrap import Estimate
from emotune.io.tables import to_json, write_text
from emotune.report.figures.dots import forest
from emotune.report.methods import methods_of_comparison
from emotune.report.metric_names import metric_name
from emotune.report.numbers import interval, number
from emotune.report.template import Markup, render


def write_comparison(folder: Path, comparison: Comparison) -> None:
    """Writes ``compare.json`` and ``compare.html`` into a folder, each atomically.

    Raises:
        TableError: when the folder cannot be written to.
    """
    write_text(folder / "compare.json", to_json(comparison.to_json()) + "\n")
    write_text(folder / "compare.html", page(comparison))


def page(comparison: Comparison) -> str:
    """The whole page as HTML."""
    return render(
        "comparison.html.j2",
        title=f"Comparison of {' and '.join(_listed(list(comparison.runs)))}",
        comparison=comparison,
        methods=methods_of_comparison(comparison),
        several_runs=any(count > 1 for count in comparison.runs.values()),
        figures={metric: _figures(comparison, metric) for metric in comparison.scores},
    )


def _listed(names: list[str]) -> list[str]:
    return [", ".join(names[:-1]), names[-1]] if len(names) < 5 else [names[0], f"{len(names) - 1} others"]


def _figures(comparison: Comparison, metric: str) -> dict[str, Markup]:
    """Scores of all systems, and the differences between them."""
    name = metric_name(metric)
    scores = list(comparison.scores[metric].items())
    differences: list[tuple[str, Estimate]] = [
        (f"{item.system} − {item.baseline}", item.estimate) for item in comparison.differences if item.metric == metric
    ]
    described = "; ".join(f"{system} {number(score.value)} {interval(score)}" for system, score in scores)
    gaps = "; ".join(f"{title} {score.value:+.3f} {interval(score)}" for title, score in differences)
    return {
        "scores": forest(scores, label=name, reference=None, description=described),
        "differences": forest(differences, label=f"difference in {name}", reference=0.0, description=gaps),
    }
