"""Learning curves of a run: which epochs, losses and scores are drawn, and the epoch that is marked."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from emotune.report.figures.curves import learning_curve
from emotune.report.metric_names import metric_name
from emotune.report.template import Markup

History = Sequence[Mapping[str, float]]


@dataclass(frozen=True)
class LearningCurves:
    """Drawn panels, each with its caption, and why one epoch is marked."""

    best_words: str
    panels: tuple[tuple[Markup, str], ...]


def learning_curves(history: History) -> LearningCurves | None:
    """Losses and development scores over epochs; None where a history has neither."""
    losses = {key: key.split("_")[0] for key in ("train_loss", "development_loss") if _is_drawn(history, key)}
    offered = list(dict.fromkeys(key for row in history for key in row if key.startswith("development_")))
    usual = [f"development_{name}" for name in ("uar", "macro_f1", "ccc")]
    metrics = [key for key in usual if _is_drawn(history, key)]
    metrics = metrics or [key for key in offered if key != "development_loss" and _is_drawn(history, key)][:3]
    best, words = _best_epoch(history, metrics)
    panels = tuple(
        (learning_curve(history, keys, best, label), caption)
        for keys, label, caption in (
            (losses, "loss", "Loss in training and on the development split."),
            ({key: metric_name(key) for key in metrics}, "score", "Scores on the development split."),
        )
        if keys
    )
    return LearningCurves(words, panels) if panels else None


def _best_epoch(history: History, metrics: Sequence[str]) -> tuple[float | None, str]:
    """The epoch to mark, and why: by its own mark, else the first metric's maximum, else the least loss.

    None where all have been looked at and none was kept.
    """
    marked = [row["epoch"] for row in history if row.get("best") and "epoch" in row]
    if marked:
        return marked[-1], f"Epoch {marked[-1]:g}, dashed, was kept."
    if any(row.get("best") is False for row in history):
        return None, "No epoch is better than the start, which was kept."
    for key, sign, word in (*((key, 1, "highest") for key in metrics[:1]), ("development_loss", -1, "lowest")):
        rows = [row for row in history if "epoch" in row and math.isfinite(row.get(key, math.nan))]
        if rows:
            best = max(rows, key=lambda row: sign * row[key])["epoch"]
            return best, f"Epoch {best:g}, dashed, has the {word} {metric_name(key)} in development."
    return None, ""


def _is_drawn(history: History, key: str) -> bool:
    return any(math.isfinite(row.get(key, math.nan)) and "epoch" in row for row in history)
