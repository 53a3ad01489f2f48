"""The report's figures as inline SVG whose colours follow the page, light or dark; matplotlib without pyplot.

Figures are drawn in the light palette; every colour then becomes a variable of the page's style sheet. Text stays text.
"""

from __future__ import annotations

import html
import io
import math
import re
from collections.abc import Mapping, Sequence

import numpy as np

from emotune.errors import EmotuneError
from emotune.evaluation.abstention import Abstention
from emotune.evaluation.result import Calibration, ClassScores, DimensionScores, Group
from emotune.evaluation.statistics.bootstrap import Estimate
from emotune.evaluation.vote_scores import AgreementLevel
from emotune.metrics.division import FloatArray

try:
    import matplotlib
    from matplotlib.axes import Axes
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator
except ImportError as error:
    raise EmotuneError(
        "The report's figures need matplotlib: pip install 'emotune[train]'. Scores without a page do not."
    ) from error

INK, MUTED, LINE, PAPER = "#1f2933", "#5b6770", "#d5dade", "#fffffe"
FIRST, SECOND = "#0068a8", "#b84a00"
SERIES = (FIRST, SECOND, "#5b6771")
_VARIABLES = {
    INK: "ink",
    MUTED: "muted",
    LINE: "line",
    PAPER: "paper",
    FIRST: "first",
    SECOND: "second",
    SERIES[2]: "muted",
}

WIDTH = 5.2
NAMED_SPEAKERS = 40
DRAWN_POINTS = 1000


def class_bars(classes: Sequence[ClassScores], chance: float) -> str:
    """Recall of each class with its interval, in the model's order from the top."""
    shown = [item for item in classes if item.support]
    figure, axes = _figure(height=0.75 + 0.3 * len(shown))
    places = np.arange(len(shown))[::-1]
    axes.barh(places, [item.recall.value for item in shown], height=0.62, color=FIRST, alpha=0.35, linewidth=0)
    for place, item in zip(places, shown, strict=True):
        _whisker(axes, place, item.recall)
    axes.set_yticks(places, [item.name for item in shown])
    axes.set_ylim(-0.6, len(shown) - 0.4)
    _share_axis(axes, "recall")
    axes.axvline(chance, color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
    described = "; ".join(f"{item.name} {item.recall.value:.2f}" for item in shown)
    return _svg(figure, f"Recall of each class: {described}. Chance: {chance:.2f}.")


def speaker_dots(groups: Sequence[Group], overall: Estimate, chance: float) -> str:
    """UAR of each speaker, best at the top, with the overall figure's interval as a band and chance as a line."""
    ranked = sorted(
        (group for group in groups if math.isfinite(group.scores["uar"].value)),
        key=lambda group: group.scores["uar"].value,
    )
    values = [group.scores["uar"].value for group in ranked]
    named = len(ranked) <= NAMED_SPEAKERS
    figure, axes = _figure(height=0.85 + (0.19 * len(ranked) if named else 4.0))
    if overall.has_interval:
        axes.axvspan(overall.low, overall.high, color=FIRST, alpha=0.14, linewidth=0)
    axes.axvline(overall.value, color=FIRST, linewidth=1.2)
    axes.axvline(chance, color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
    if named:
        axes.hlines(range(len(ranked)), 0, values, color=LINE, linewidth=0.8)
        axes.set_yticks(range(len(ranked)), [group.name for group in ranked], fontsize=8.5)
    else:
        axes.set_yticks([])
        axes.set_ylabel(f"{len(ranked)} speakers, ranked", color=MUTED)
    axes.plot(values, range(len(ranked)), "o", color=SECOND, markersize=5 if named else 3, clip_on=False)
    axes.set_ylim(-0.8, len(ranked) - 0.2)
    _share_axis(axes, "UAR")
    span = f"from {values[0]:.2f} ({ranked[0].name}) to {values[-1]:.2f} ({ranked[-1].name})" if ranked else "none"
    return _svg(figure, f"UAR of {len(ranked)} speakers, {span}; overall {overall.value:.2f}, chance {chance:.2f}.")


def forest(rows: Sequence[tuple[str, Estimate]], *, label: str, reference: float | None, description: str) -> str:
    """A dot and its interval for each row, from the top; a line at the reference, such as no difference at all."""
    figure, axes = _figure(height=0.75 + 0.32 * len(rows))
    places = range(len(rows))[::-1]
    if reference is not None:
        axes.axvline(reference, color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
    for place, (_, score) in zip(places, rows, strict=True):
        _whisker(axes, place, score)
    axes.set_yticks(places, [name for name, _ in rows])
    axes.set_ylim(-0.6, len(rows) - 0.4)
    axes.set_xlabel(label)
    axes.grid(axis="x", color=LINE, linewidth=0.7)
    return _svg(figure, description)


def risk_coverage(abstention: Abstention) -> str:
    """Share of wrong answers over the share of clips that are answered."""
    figure, axes = _figure(height=3.4)
    axes.axhline(abstention.risk[-1], color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
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
    return _svg(figure, f"Risk against coverage: {described}.")


def reliability(calibration: Calibration) -> str:
    """Accuracy against confidence in each bin, over the number of utterances in it."""
    bins = [item for item in calibration.bins if item.count]
    figure = Figure(figsize=(WIDTH * 0.85, WIDTH * 0.9), layout="constrained")
    axes, counts = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
    for part in (axes, counts):
        _plain(part)
    axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
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
    return _svg(figure, f"Reliability diagram, accuracy against confidence: {described}.")


def agreement_dots(levels: Sequence[AgreementLevel]) -> str:
    """Divergence from the votes at each level of agreement with its interval, least agreement at the top."""
    figure, axes = _figure(height=0.85 + 0.45 * len(levels))
    places = np.arange(len(levels))[::-1]
    axes.barh(places, [item.jensen_shannon.value for item in levels], height=0.55, color=FIRST, alpha=0.35, linewidth=0)
    for place, item in zip(places, levels, strict=True):
        _whisker(axes, place, item.jensen_shannon)
    axes.set_yticks(places, [f"{item.name}\n({item.utterances})" for item in levels])
    axes.set_ylim(-0.6, len(levels) - 0.4)
    _share_axis(axes, "Jensen-Shannon divergence")
    described = "; ".join(f"{item.name} {item.jensen_shannon.value:.2f}" for item in levels)
    return _svg(figure, f"Divergence from the votes by the share of the most voted class: {described}.")


def entropy_scatter(entropies: FloatArray, classes: int) -> str:
    """Entropy of predictions against that of votes in bits, at most ``DRAWN_POINTS`` of them, evenly chosen."""
    figure = Figure(figsize=(WIDTH * 0.8, WIDTH * 0.8), layout="constrained")
    axes = figure.subplots()
    _plain(axes)
    chosen = np.unique(np.linspace(0, len(entropies) - 1, min(len(entropies), DRAWN_POINTS)).astype(int))
    most = math.log2(max(classes, 2))
    axes.plot([0, most], [0, most], color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
    human, model = entropies[chosen].round(4).T
    axes.plot(human, model, "o", color=FIRST, alpha=0.4, markersize=3.2, markeredgewidth=0)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(5))
    limits = (-0.03 * most, 1.03 * most)
    axes.set(xlim=limits, ylim=limits, xlabel="entropy of the votes, bits", ylabel="entropy of the prediction, bits")
    human_mean, model_mean = entropies.mean(axis=0)
    means = f"on average {human_mean:.2f} bits in the votes and {model_mean:.2f} in the predictions"
    return _svg(figure, f"Entropy of the prediction against entropy of the votes: {means}.")


def dimension_scatter(scores: DimensionScores) -> str:
    """Prediction against truth, at most ``DRAWN_POINTS`` of them, evenly chosen."""
    figure = Figure(figsize=(WIDTH * 0.8, WIDTH * 0.8), layout="constrained")
    axes = figure.subplots()
    _plain(axes)
    chosen = np.unique(np.linspace(0, len(scores.truth) - 1, min(len(scores.truth), DRAWN_POINTS)).astype(int))
    ends = [scores.scale.low, scores.scale.high]
    axes.plot(ends, ends, color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
    axes.plot(
        scores.truth[chosen].round(4),
        scores.prediction[chosen].round(4),
        "o",
        color=FIRST,
        alpha=0.4,
        markersize=3.2,
        markeredgewidth=0,
    )
    margin = 0.03 * (ends[1] - ends[0])
    limits = (ends[0] - margin, ends[1] + margin)
    axes.set(xlim=limits, ylim=limits, xlabel=f"{scores.name}, annotated", ylabel=f"{scores.name}, predicted")
    axes.set_aspect("equal")
    return _svg(
        figure,
        f"Predicted against annotated {scores.name}, {scores.utterances} utterances: CCC {scores.ccc.value:.2f}.",
    )


def learning_curve(
    history: Sequence[Mapping[str, float]], keys: Mapping[str, str], best: float | None, label: str
) -> str:
    """One panel over epochs: a line for each of at most three keys under its name, the best epoch marked."""
    figure, axes = _figure(height=3.1)
    for key, colour, marker in zip(keys, SERIES, ("o", "s", "^"), strict=False):
        rows = [row for row in history if _finite(row.get(key)) and _finite(row.get("epoch"))]
        x, y = [row["epoch"] for row in rows], [row[key] for row in rows]
        axes.plot(x, y, color=colour, marker=marker, markersize=3.5, linewidth=1.6, label=keys[key])
    if best is not None:
        axes.axvline(best, color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
    axes.grid(axis="y", color=LINE, linewidth=0.7)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set(xlabel="epoch", ylabel=label)
    axes.legend(frameon=False, labelcolor=INK, loc="lower left", bbox_to_anchor=(0, 1), ncols=3, borderpad=0)
    return _svg(figure, f"{label} over {len(history)} epochs: {', '.join(keys.values())}.")


def degradation_dots(
    names: Sequence[str], scores: Sequence[Estimate], clean: Estimate, chance: float, label: str
) -> str:
    """A score under each degradation with its interval, the first at the top; clean clips and chance as lines."""
    figure, axes = _figure(height=0.85 + 0.25 * len(names), width=WIDTH * 1.5)
    places = np.arange(len(names))[::-1]
    if clean.has_interval:
        axes.axvspan(clean.low, clean.high, color=FIRST, alpha=0.14, linewidth=0)
    axes.axvline(clean.value, color=FIRST, linewidth=1.2)
    if math.isfinite(chance):
        axes.axvline(chance, color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
    for place, score in zip(places, scores, strict=True):
        _whisker(axes, place, score)
    axes.set_yticks(places, list(names))
    axes.set_ylim(-0.7, len(names) - 0.3)
    _share_axis(axes, label)
    described = "; ".join(f"{name} {score.value:.2f}" for name, score in zip(names, scores, strict=True))
    line = f", chance {chance:.2f}" if math.isfinite(chance) else ""
    return _svg(figure, f"{label} under each condition: {described}. Clean {clean.value:.2f}{line}.")


def paired_dots(rows: Sequence[str], values: Mapping[str, Sequence[float]], label: str) -> str:
    """Two series of shares, one pair of dots a row, the first row at the top."""
    figure, axes = _figure(height=0.95 + 0.3 * len(rows))
    places = np.arange(len(rows))[::-1]
    first, second = values.values()
    axes.hlines(places, first, second, color=LINE, linewidth=3)
    for (name, series), colour, marker in zip(values.items(), (FIRST, SECOND), ("o", "D"), strict=True):
        axes.plot(series, places, marker, color=colour, markersize=6, label=name, clip_on=False)
    axes.set_yticks(places, list(rows))
    axes.set_ylim(-0.6, len(rows) - 0.4)
    _share_axis(axes, label)
    axes.legend(frameon=False, labelcolor=INK, loc="lower left", bbox_to_anchor=(0, 1), ncols=2, borderpad=0)
    described = "; ".join(f"{row} {a:.2f} and {b:.2f}" for row, a, b in zip(rows, first, second, strict=True))
    return _svg(figure, f"{label} of {' and '.join(values)}: {described}.")


def value_bars(rows: Sequence[tuple[str, float]], *, label: str, description: str) -> str:
    """A bar from zero for each row, from the top, with its value beside it; NaN has none."""
    figure, axes = _figure(height=0.75 + 0.32 * len(rows))
    places = range(len(rows))[::-1]
    for place, (_, value) in zip(places, rows, strict=True):
        if math.isfinite(value):
            axes.barh(place, value, height=0.62, color=FIRST if value >= 0 else SECOND, alpha=0.5, linewidth=0)
            side = "left" if value >= 0 else "right"
            gap = 3 if value >= 0 else -3
            axes.annotate(
                f"{value:.3f}", (value, place), (gap, 0), textcoords="offset points", ha=side, va="center", color=INK
            )
    axes.axvline(0, color=MUTED, linewidth=1)
    axes.set_yticks(places, [name for name, _ in rows])
    axes.set_ylim(-0.6, len(rows) - 0.4)
    axes.margins(x=0.18)
    axes.set_xlabel(label)
    axes.grid(axis="x", color=LINE, linewidth=0.7)
    return _svg(figure, description)


def difference_map(rows: Sequence[str], columns: Sequence[tuple[str, Sequence[Estimate | None]]], gaps: int) -> str:
    """Differences as a coloured table, blue above zero and orange below; bold where the interval leaves out zero.

    Args:
        rows: their names, from the top.
        columns: name, and what stands in each row; None leaves a place empty.
        gaps: before which column a gap parts two kinds of columns.
    """
    figure, axes = _figure(height=0.7 + 0.36 * len(rows), width=2.6 + 0.85 * len(columns))
    found = [cell.value for _, cells in columns for cell in cells if cell is not None and math.isfinite(cell.value)]
    most = max([0.02, *(abs(value) for value in found)])
    places = [number + (0.35 if number >= gaps else 0.0) for number in range(len(columns))]
    for place, (_, cells) in zip(places, columns, strict=True):
        for row, cell in enumerate(cells):
            if cell is not None and math.isfinite(cell.value):
                _difference_cell(axes, place, len(rows) - 1 - row, cell, most)
    axes.set_xticks(places, [name for name, _ in columns])
    axes.set_yticks(range(len(rows))[::-1], list(rows))
    axes.set_xlim(-0.5, places[-1] + 0.5)
    axes.set_ylim(-0.5, len(rows) - 0.5)
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    described = "; ".join(
        f"{name}: {', '.join(f'{row} {cell.value:+.2f}' for row, cell in zip(rows, cells, strict=True) if cell)}"
        for name, cells in columns
    )
    return _svg(figure, f"Differences by class or dimension and by gender: {described}.")


def _difference_cell(axes: Axes, place: float, row: float, cell: Estimate, most: float) -> None:
    strength = 0.5 * abs(cell.value) / most
    colour = FIRST if cell.value > 0 else SECOND
    axes.bar([place], [0.94], bottom=row - 0.47, width=0.97, color=colour, alpha=strength, linewidth=0)
    sure = cell.has_interval and (cell.low > 0 or cell.high < 0)
    weight = "bold" if sure else "normal"
    axes.text(place, row, f"{cell.value:+.3f}", ha="center", va="center", color=INK, fontsize=9, fontweight=weight)


def _finite(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _figure(*, height: float, width: float = WIDTH) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots()
    _plain(axes)
    return figure, axes


def _plain(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(LINE)
    axes.tick_params(colors=INK, color=LINE, length=3)
    axes.xaxis.label.set_color(INK)
    axes.yaxis.label.set_color(INK)
    axes.patch.set_visible(False)
    axes.set_axisbelow(True)


def _share_axis(axes: Axes, label: str) -> None:
    axes.set_xlim(0, 1)
    axes.set_xticks([0, 0.2, 0.4, 0.6, 0.8, 1.0])
    axes.set_xlabel(label)
    axes.grid(axis="x", color=LINE, linewidth=0.7)


def _whisker(axes: Axes, place: float, score: Estimate) -> None:
    if score.has_interval:
        axes.plot([score.low, score.high], [place, place], color=INK, linewidth=1.4)
    axes.plot([score.value], [place], "o", color=INK, markersize=4)


def _svg(figure: Figure, description: str) -> str:
    """The figure as one <svg> element that needs no other file and carries no id but those it refers to itself."""
    figure.patch.set_visible(False)
    FigureCanvasSVG(figure)
    stream = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": description}):
        figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = stream.getvalue()
    text = text[text.index("<svg") :]
    _, _, width, height = (float(number) for number in re.findall(r'viewBox="([^"]+)"', text)[0].split())
    body = text[text.index(">") + 1 :]
    body = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->", "", body, flags=re.DOTALL)
    body = re.sub(r'<(g|path|rect) id="(?!m[0-9a-f]{10})[^"]*"', r"<\1", body)
    body = body.replace("xlink:href", "href")
    body = re.sub(r"'DejaVu Sans'[^;\"]*", "system-ui, sans-serif", body)
    for colour, variable in _VARIABLES.items():
        body = body.replace(colour, f"var(--{variable})")
    size = f'viewBox="0 0 {width:g} {height:g}" style="max-width:{width * 4 / 3:.0f}px"'
    return f'<svg role="img" aria-label="{html.escape(description)}" {size}>{body.strip()}'
