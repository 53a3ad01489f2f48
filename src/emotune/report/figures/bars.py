"""Bars: recall by class, divergence by agreement, one value a row."""
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from emotune.evaluation.result import ClassScores
from emotune.evaluation.vote_scores import AgreementLevel
from emotune.report.figures.canvas import DASHED, FIRST, INK, LINE, MUTED, SECOND, panel, share_axis, svg, whisker
from emotune.report.template import Markup


def class_bars(classes: Sequence[ClassScores], chance: float) -> Markup:
    """Recall of each class with its interval, in the model's order from the top."""
    shown = [item for item in classes if item.support]
    figure, axes = panel(height=0.75 + 0.3 * len(shown))
    places = np.arange(len(shown))[::-1]
    axes.barh(places, [item.recall.value for item in shown], height=0.62, color=FIRST, alpha=0.35, linewidth=0)
    for place, item in zip(places, shown, strict=True):
        whisker(axes, place, item.recall)
    axes.set_yticks(places, [item.name for item in shown])
    axes.set_ylim(-0.6, len(shown) - 0.4)
    share_axis(axes, "recall")
    axes.axvline(chance, color=MUTED, linewidth=1, linestyle=DASHED)
    described = "; ".join(f"{item.name} {item.recall.value:.2f}" for item in shown)
    return svg(figure, f"Recall of each class: {described}. Chance: {chance:.2f}.")


def agreement_bars(levels: Sequence[AgreementLevel]) -> Markup:
    """Divergence from the votes at each level of agreement with its interval, least agreement at the top."""
    figure, axes = panel(height=0.85 + 0.45 * len(levels))
    places = np.arange(len(levels))[::-1]
    axes.barh(places, [item.jensen_shannon.value for item in levels], height=0.55, color=FIRST, alpha=0.35, linewidth=0)
    for place, item in zip(places, levels, strict=True):
        whisker(axes, place, item.jensen_shannon)
    axes.set_yticks(places, [f"{item.name}\n({item.utterances})" for item in levels])
    axes.set_ylim(-0.6, len(levels) - 0.4)
    share_axis(axes, "Jensen-Shannon divergence")
    described = "; ".join(f"{item.name} {item.jensen_shannon.value:.2f}" for item in levels)
    return svg(figure, f"Divergence from the votes by the share of the most voted class: {described}.")


def value_bars(rows: Sequence[tuple[str, float]], *, label: str, description: str) -> Markup:
    """A bar from zero for each row, from the top, with its value beside it; NaN has none."""
    figure, axes = panel(height=0.75 + 0.32 * len(rows))
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
    return svg(figure, description)
