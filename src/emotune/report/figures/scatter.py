"""Scatter plots of single utterances."""
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import math

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from emotune.evaluation.result import DimensionScores
from emotune.metrics.division import FloatArray
from emotune.report.figures.canvas import DASHED, FIRST, MUTED, WIDTH, bare, svg
from emotune.report.template import Markup

DRAWN_POINTS = 1000


def entropy_scatter(entropies: FloatArray, classes: int) -> Markup:
    """Entropy of predictions against that of votes in bits, shape (utterances, 2): ``DRAWN_POINTS`` at most, evenly."""
    figure = Figure(figsize=(WIDTH * 0.8, WIDTH * 0.8), layout="constrained")
    axes = figure.subplots()
    bare(axes)
    chosen = np.unique(np.linspace(0, len(entropies) - 1, min(len(entropies), DRAWN_POINTS)).astype(int))
    most = math.log2(max(classes, 2))
    axes.plot([0, most], [0, most], color=MUTED, linewidth=1, linestyle=DASHED)
    human, model = entropies[chosen].round(4).T
    axes.plot(human, model, "o", color=FIRST, alpha=0.4, markersize=3.2, markeredgewidth=0)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(5))
    limits = (-0.03 * most, 1.03 * most)
    axes.set(xlim=limits, ylim=limits, xlabel="entropy of the votes, bits", ylabel="entropy of the prediction, bits")
    human_mean, model_mean = entropies.mean(axis=0)
    means = f"on average {human_mean:.2f} bits in the votes and {model_mean:.2f} in the predictions"
    return svg(figure, f"Entropy of the prediction against entropy of the votes: {means}.")


def dimension_scatter(scores: DimensionScores) -> Markup:
    """Prediction against truth, at most ``DRAWN_POINTS`` of them, evenly chosen."""
    figure = Figure(figsize=(WIDTH * 0.8, WIDTH * 0.8), layout="constrained")
    axes = figure.subplots()
    bare(axes)
    chosen = np.unique(np.linspace(0, len(scores.truth) - 1, min(len(scores.truth), DRAWN_POINTS)).astype(int))
    ends = [scores.scale.low, scores.scale.high]
    axes.plot(ends, ends, color=MUTED, linewidth=1, linestyle=DASHED)
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
    return svg(
        figure,
        f"Predicted against annotated {scores.name}, {scores.utterances} utterances: CCC {scores.ccc.value:.2f}.",
    )
