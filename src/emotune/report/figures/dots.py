"""Dots with their intervals: by speaker, by system, by condition, and two series side by side."""
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from emotune.evaluation.result import Group
from emotune.evaluation.statistics.bootstrap import Estimate
from emotune.report.figures.canvas import (
    DASHED,
    FIRST,
    INK,
    LINE,
    MUTED,
    SECOND,
    WIDTH,
    panel,
    share_axis,
    svg,
    whisker,
)
from emotune.report.template import Markup

NAMED_SPEAKERS = 40
"""With more speakers, a figure names none of them."""


def speaker_dots(groups: Sequence[Group], overall: Estimate, chance: float) -> Markup:
    """UAR of each speaker, best at the top, with the overall figure's interval as a band and chance as a line."""
    ranked = sorted(
        (group for group in groups if math.isfinite(group.scores["uar"].value)),
        key=lambda group: group.scores["uar"].value,
    )
    values = [group.scores["uar"].value for group in ranked]
    named = len(ranked) <= NAMED_SPEAKERS
    figure, axes = panel(height=0.85 + (0.19 * len(ranked) if named else 4.0))
    if overall.has_interval:
        axes.axvspan(overall.low, overall.high, color=FIRST, alpha=0.14, linewidth=0)
    axes.axvline(overall.value, color=FIRST, linewidth=1.2)
    axes.axvline(chance, color=MUTED, linewidth=1, linestyle=DASHED)
    if named:
        axes.hlines(range(len(ranked)), 0, values, color=LINE, linewidth=0.8)
        axes.set_yticks(range(len(ranked)), [group.name for group in ranked], fontsize=8.5)
    else:
        axes.set_yticks([])
        axes.set_ylabel(f"{len(ranked)} speakers, ranked", color=MUTED)
    axes.plot(values, range(len(ranked)), "o", color=SECOND, markersize=5 if named else 3, clip_on=False)
    axes.set_ylim(-0.8, len(ranked) - 0.2)
    share_axis(axes, "UAR")
    span = f"from {values[0]:.2f} ({ranked[0].name}) to {values[-1]:.2f} ({ranked[-1].name})" if ranked else "none"
    return svg(figure, f"UAR of {len(ranked)} speakers, {span}; overall {overall.value:.2f}, chance {chance:.2f}.")


def forest(rows: Sequence[tuple[str, Estimate]], *, label: str, reference: float | None, description: str) -> Markup:
    """A dot and its interval for each row, from the top; a line at the reference, such as no difference at all."""
    figure, axes = panel(height=0.75 + 0.32 * len(rows))
    places = range(len(rows))[::-1]
    if reference is not None:
        axes.axvline(reference, color=MUTED, linewidth=1, linestyle=DASHED)
    for place, (_, score) in zip(places, rows, strict=True):
        whisker(axes, place, score)
    axes.set_yticks(places, [name for name, _ in rows])
    axes.set_ylim(-0.6, len(rows) - 0.4)
    axes.set_xlabel(label)
    axes.grid(axis="x", color=LINE, linewidth=0.7)
    return svg(figure, description)


def degradation_dots(
    names: Sequence[str], scores: Sequence[Estimate], clean: Estimate, chance: float, label: str
) -> Markup:
    """A score under each condition with its interval, the first at the top; clean clips and chance as lines."""
    figure, axes = panel(height=0.85 + 0.25 * len(names), width=WIDTH * 1.5)
    places = np.arange(len(names))[::-1]
    if clean.has_interval:
        axes.axvspan(clean.low, clean.high, color=FIRST, alpha=0.14, linewidth=0)
    axes.axvline(clean.value, color=FIRST, linewidth=1.2)
    if math.isfinite(chance):
        axes.axvline(chance, color=MUTED, linewidth=1, linestyle=DASHED)
    for place, score in zip(places, scores, strict=True):
        whisker(axes, place, score)
    axes.set_yticks(places, list(names))
    axes.set_ylim(-0.7, len(names) - 0.3)
    share_axis(axes, label)
    described = "; ".join(f"{name} {score.value:.2f}" for name, score in zip(names, scores, strict=True))
    line = f", chance {chance:.2f}" if math.isfinite(chance) else ""
    return svg(figure, f"{label} under each condition: {described}. Clean {clean.value:.2f}{line}.")


def paired_dots(rows: Sequence[str], values: Mapping[str, Sequence[float]], label: str) -> Markup:
    """Two series of shares, one pair of dots a row, the first row at the top."""
    figure, axes = panel(height=0.95 + 0.3 * len(rows))
    places = np.arange(len(rows))[::-1]
    first, second = values.values()
    axes.hlines(places, first, second, color=LINE, linewidth=3)
    for (name, series), colour, marker in zip(values.items(), (FIRST, SECOND), ("o", "D"), strict=True):
        axes.plot(series, places, marker, color=colour, markersize=6, label=name, clip_on=False)
    axes.set_yticks(places, list(rows))
    axes.set_ylim(-0.6, len(rows) - 0.4)
    share_axis(axes, label)
    axes.legend(frameon=False, labelcolor=INK, loc="lower left", bbox_to_anchor=(0, 1), ncols=2, borderpad=0)
    described = "; ".join(f"{row} {a:.2f} and {b:.2f}" for row, a, b in zip(rows, first, second, strict=True))
    return svg(figure, f"{label} of {' and '.join(values)}: {described}.")
