"""Curves: risk against coverage, accuracy against confidence, scores over epochs."""
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from emotune.evaluation.abstention import Abstention
from emotune.evaluation.result import CalibrationScores
from emotune.evaluation.statistics.bootstrap import Estimate
from emotune.report.figures.canvas import DASHED, FIRST, INK, LINE, MUTED, SECOND, SERIES, WIDTH, bare, panel, svg
from emotune.report.template import Markup

_MARKERS = ("o", "s", "^", "D", "v")
_STYLES = ("-", (0, (4, 2)), (0, (1, 1.5)))


def risk_coverage(abstention: Abstention) -> Markup:
    """Share of wrong answers over the share of clips that are answered."""
    figure, axes = panel(height=3.4)
    axes.axhline(abstention.risk[-1], color=MUTED, linewidth=1, linestyle=DASHED)
    axes.plot(abstention.coverage, abstention.best_risk, color=MUTED, linewidth=1.2, linestyle=(0, (1, 2)))
    axes.plot(abstention.coverage, abstention.risk, color=FIRST, linewidth=1.8)
    if abstention.promised is not None:
        axes.plot(
            [abstention.promised.coverage.value], [abstention.promised.wrong], "o", color=SECOND, markersize=6, zorder=3
        )
    axes.set(xlabel="share answered", ylabel="share of these that is wrong", xlim=(0, 1))
    axes.set_ylim(bottom=0)
    axes.grid(axis="y", color=LINE, linewidth=0.7)
    described = "; ".join(f"{item.coverage.value:.0%} answered, {item.wrong:.0%} wrong" for item in abstention.levels)
    return svg(figure, f"Risk against coverage: {described}.")


def reliability(calibration: CalibrationScores) -> Markup:
    """Accuracy against confidence in each bin, over the number of utterances in it."""
    bins = [item for item in calibration.bins if item.count]
    figure = Figure(figsize=(WIDTH * 0.85, WIDTH * 0.9), layout="constrained")
    axes, counts = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
    for part in (axes, counts):
        bare(part)
    axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle=DASHED)
    most = max(item.count for item in bins)
    axes.plot([item.confidence for item in bins], [item.accuracy for item in bins], color=FIRST, linewidth=1, alpha=0.6)
    for item in bins:
        size = 2.5 + 5 * math.sqrt(item.count / most)
        axes.plot([item.confidence], [item.accuracy], "o", color=FIRST, markersize=size, clip_on=False)
    axes.set(xlim=(0, 1), ylim=(0, 1), ylabel="accuracy")
    counts.bar(
        [(item.low + item.high) / 2 for item in calibration.bins],
        [item.count for item in calibration.bins],
        width=0.085,
        color=FIRST,
        alpha=0.35,
        linewidth=0,
    )
    counts.set(xlabel="confidence", ylabel="utterances")
    figure.align_ylabels()
    described = "; ".join(f"{item.confidence:.2f} confident, {item.accuracy:.2f} right" for item in bins)
    return svg(figure, f"Reliability diagram, accuracy against confidence: {described}.")


def learning_curve(
    history: Sequence[Mapping[str, float]], keys: Mapping[str, str], best: float | None, label: str
) -> Markup:
    """One panel over epochs: a line for each of at most three keys under its name, the best epoch marked."""
    figure, axes = panel(height=3.1)
    for key, colour, marker in zip(keys, SERIES, ("o", "s", "^"), strict=False):
        rows = [row for row in history if _finite(row.get(key)) and _finite(row.get("epoch"))]
        x, y = [row["epoch"] for row in rows], [row[key] for row in rows]
        axes.plot(x, y, color=colour, marker=marker, markersize=3.5, linewidth=1.6, label=keys[key])
    if best is not None:
        axes.axvline(best, color=MUTED, linewidth=1, linestyle=DASHED)
    axes.grid(axis="y", color=LINE, linewidth=0.7)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set(xlabel="epoch", ylabel=label)
    axes.legend(frameon=False, labelcolor=INK, loc="lower left", bbox_to_anchor=(0, 1), ncols=3, borderpad=0)
    return svg(figure, f"{label} over {len(history)} epochs: {', '.join(keys.values())}.")


def score_over_values(
    lines: Mapping[str, Sequence[tuple[float, Estimate]]], *, x_label: str, y_label: str, logarithmic: bool
) -> Markup:
    """One panel: scores over values, a line for each name, with 95 % intervals a little apart."""
    figure, axes = panel(height=3.8)
    values = sorted({value for line in lines.values() for value, _ in line})
    for number, (name, line) in enumerate(lines.items()):
        colour, style = SERIES[number % len(SERIES)], _STYLES[number // len(SERIES) % len(_STYLES)]
        shift = 0.035 * (number - (len(lines) - 1) / 2)
        x = [value * 10**shift if logarithmic else value + shift * (values[-1] - values[0]) for value, _ in line]
        y = [score.value for _, score in line]
        axes.plot(
            x, y, color=colour, marker=_MARKERS[number % len(_MARKERS)], markersize=5, linestyle=style, label=name
        )
        for place, (_, score) in zip(x, line, strict=True):
            if score.has_interval:
                axes.plot([place, place], [score.low, score.high], color=colour, linewidth=1, alpha=0.55)
    if logarithmic:
        axes.set_xscale("log")
    axes.set_xticks(values, [f"{value:g}" for value in values])
    axes.minorticks_off()
    axes.grid(axis="y", color=LINE, linewidth=0.7)
    axes.set(xlabel=x_label, ylabel=y_label)
    axes.legend(frameon=False, labelcolor=INK, loc="lower left", bbox_to_anchor=(0, 1), ncols=2, borderpad=0)
    described = "; ".join(
        f"{name} " + ", ".join(f"{score.value:.3f} at {value:g}" for value, score in line)
        for name, line in lines.items()
    )
    return svg(figure, f"{y_label} over {x_label}: {described}.")


def _finite(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)
