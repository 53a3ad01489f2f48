"""Trials of a sweep: each one's score, and the best so far, by arm."""
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.ticker import MaxNLocator

from emotune.report.figures.canvas import INK, LINE, SERIES, panel, svg
from emotune.report.template import Markup

_STYLES = ("o", "s", "^", "D", "v", "P")


def best_so_far(arms: Sequence[tuple[str, Sequence[tuple[int, float | None, bool]]]], *, label: str) -> Markup:
    """One line an arm over its trials, the best complete score so far; a point for each trial, hollow if ended early.

    Args:
        arms: name, and (number, score, whether it is complete) of each trial.
        label: of the axis of scores.
    """
    figure, axes = panel(height=3.1)
    said: list[str] = []
    for place, (name, trials) in enumerate(arms):
        colour, marker = SERIES[place % len(SERIES)], _STYLES[place % len(_STYLES)]
        best: float | None = None
        steps: list[tuple[int, float]] = []
        for number, score, complete in trials:
            if score is not None:
                face = colour if complete else "none"
                axes.plot([number], [score], marker, color=colour, markerfacecolor=face, markersize=3.8, alpha=0.75)
            if complete and score is not None:
                best = score if best is None else max(best, score)
            if best is not None:
                steps.append((number, best))
        if steps:
            x, y = zip(*steps, strict=True)
            axes.step(x, y, where="post", color=colour, linewidth=1.6, marker=marker, markevery=[-1], label=name)
            said.append(f"{name} {y[-1]:.3f} after {len(trials)}")
    axes.grid(axis="y", color=LINE, linewidth=0.7)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set(xlabel="trial", ylabel=label)
    if said:
        axes.legend(frameon=False, labelcolor=INK, loc="lower left", bbox_to_anchor=(0, 1), ncols=4, borderpad=0)
    return svg(figure, f"{label}, best so far: {'; '.join(said) or 'no trial is complete'}.")
