"""Differences as a coloured table."""
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import math
from collections.abc import Sequence

from matplotlib.axes import Axes

from emotune.evaluation.statistics.bootstrap import Estimate
from emotune.report.figures.canvas import FIRST, INK, SECOND, panel, svg
from emotune.report.template import Markup


def difference_map(rows: Sequence[str], columns: Sequence[tuple[str, Sequence[Estimate | None]]], gaps: int) -> Markup:
    """Differences as a coloured table, blue above zero and orange below; bold where the interval leaves out zero.

    Args:
        rows: their names, from the top.
        columns: name, and what stands in each row; None leaves a place empty.
        gaps: before which column a gap parts two kinds of columns.
    """
    figure, axes = panel(height=0.7 + 0.36 * len(rows), width=2.6 + 0.85 * len(columns))
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
    return svg(figure, f"Differences by class or dimension and by gender: {described}.")


def _difference_cell(axes: Axes, place: float, row: float, cell: Estimate, most: float) -> None:
    strength = 0.5 * abs(cell.value) / most
    colour = FIRST if cell.value > 0 else SECOND
    axes.bar([place], [0.94], bottom=row - 0.47, width=0.97, color=colour, alpha=strength, linewidth=0)
    sure = cell.has_interval and (cell.low > 0 or cell.high < 0)
    weight = "bold" if sure else "normal"
    axes.text(place, row, f"{cell.value:+.3f}", ha="center", va="center", color=INK, fontsize=9, fontweight=weight)
