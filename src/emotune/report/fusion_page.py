"""A fusion's results: predictions.csv and manifest.csv, fusion.json for machines, and fusion.html for people."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path

from emotune.fusion import Fusion
from emotune.fusion.runs import FusedSplit
from emotune.io.tables import to_json, write_text
from emotune.report.figures.bars import value_bars
from emotune.report.figures.dots import paired_dots
from emotune.report.metric_names import metric_name
from emotune.report.numbers import number
from emotune.report.template import Markup, render


def write_fusion(folder: Path, fused: FusedSplit) -> None:
    """Writes the fused table, its truth where there is one, ``fusion.json`` and ``fusion.html``.

    Raises:
        TableError: when the folder cannot be written to.
    """
    fused.predictions.write(folder / "predictions.csv")
    if fused.truth is not None:
        fused.truth.write(folder / "manifest.csv")
    write_text(folder / "fusion.json", to_json(fused.to_json()) + "\n")
    write_text(folder / "fusion.html", page(fused))


def page(fused: FusedSplit) -> str:
    """The whole page as HTML."""
    first = next(iter(fused.folds.values()))
    return render(
        "fusion.html.j2",
        title=f"Fusion of {len(first.names)} systems: {fused.split}",
        fused=fused,
        name=metric_name(first.metric),
        method=first.method,
        seed=first.seed,
        fits=first.fits,
        parts=part_names(first),
        gains=_gains(fused, first),
        scores=_scores(fused, first),
        weights=_weights(fused),
        contributions=_contributions(fused),
    )


def mean_over_folds(fused: FusedSplit, of: Callable[[Fusion], float]) -> float:
    """A figure of each fold's fusion, its mean over the folds."""
    values = [of(fitted) for fitted in fused.folds.values()]
    return sum(values) / len(values)


def part_names(fitted: Fusion) -> tuple[str, str]:
    """Purposes of the two parts of development."""
    return "fitted on" if fitted.fits else "chosen on", "reported on"


def _gains(fused: FusedSplit, first: Fusion) -> list[str]:
    """Sentences on the gain on the split, where its truth is known, and on development."""
    name, scores = metric_name(first.metric), fused.scores()
    lines: list[str] = []
    if scores:
        gain = scores["fused"] - scores["best single"]
        difference = f"difference {gain:+.3f}; " if math.isfinite(gain) else ""
        lines.append(
            f"On {fused.scored_on}: {name} {number(scores['fused'])}, the best single system"
            f" {number(scores['best single'])} ({difference}chosen on development: {_best(fused)})."
        )
    gain, where = mean_over_folds(fused, lambda fitted: fitted.gain), " on average over the folds"
    reported = mean_over_folds(fused, lambda fitted: fitted.reported_on.fused)
    part = "nothing was fitted on" if first.fits else "chose nothing"
    lines.append(
        f"On the part of development that {part}: {name} {number(reported)}, {gain:+.3f} against the best single"
        f" system{where if len(fused.folds) > 1 else ''}."
    )
    return lines


def _best(fused: FusedSplit) -> str:
    chosen = [fitted.best_single for fitted in fused.folds.values()]
    return ", ".join(
        f"{name} ({chosen.count(name)} folds)" if len(chosen) > 1 else name for name in dict.fromkeys(chosen)
    )


def _scores(fused: FusedSplit, first: Fusion) -> dict[str, object]:
    """Each system and the fusion on both parts of development and on the split."""
    name, scores = metric_name(first.metric), fused.scores()

    def parts_of(system: str) -> tuple[float, float]:
        return (
            mean_over_folds(fused, lambda fitted: fitted.fitted_on.singles[system]),
            mean_over_folds(fused, lambda fitted: fitted.reported_on.singles[system]),
        )

    figures_of = {system: parts_of(system) for system in first.names}
    figures_of["fused"] = (
        mean_over_folds(fused, lambda fitted: fitted.fitted_on.fused),
        mean_over_folds(fused, lambda fitted: fitted.reported_on.fused),
    )
    parts = part_names(first)
    picture = paired_dots(
        list(figures_of),
        {part: [values[which] for values in figures_of.values()] for which, part in enumerate(parts)},
        name,
    )
    rows = {system: [*values, scores[system]] if scores else list(values) for system, values in figures_of.items()}
    sizes = [
        sum(fitted.fitted_on.utterances for fitted in fused.folds.values()),
        sum(fitted.reported_on.utterances for fitted in fused.folds.values()),
    ]
    counts = ", ".join(f"{size} utterances {part}" for size, part in zip(sizes, parts, strict=True))
    return {"picture": picture, "rows": rows, "counts": counts, "is_scored": bool(scores)}


def _weights(fused: FusedSplit) -> dict[str, object] | None:
    """Each system's weight, its mean over the folds first; None for a method without weights."""
    each = {fold: fitted.weights for fold, fitted in fused.folds.items()}
    known = {fold: weights for fold, weights in each.items() if weights is not None}
    if len(known) < len(each):
        return None
    means = {name: sum(weights[name] for weights in known.values()) / len(known) for name in fused.singles}
    folds = list(known) if len(known) > 1 else []
    rows = {name: [mean, *(known[fold].get(name, math.nan) for fold in folds)] for name, mean in means.items()}
    return {"picture": _bars(means, "weight"), "rows": rows, "folds": folds}


def _contributions(fused: FusedSplit) -> dict[str, object]:
    """Contribution of each system: the fusion without it, and the loss."""
    without = {name: mean_over_folds(fused, lambda fitted, name=name: fitted.left_out[name]) for name in fused.singles}
    lost = {
        name: mean_over_folds(fused, lambda fitted, name=name: fitted.reported_on.fused - fitted.left_out[name])
        for name in fused.singles
    }
    rows = {name: (without[name], lost[name]) for name in fused.singles}
    return {"picture": _bars(lost, "lost without it"), "rows": rows}


def _bars(values: Mapping[str, float], label: str) -> Markup:
    described = "; ".join(f"{name} {number(value)}" for name, value in values.items())
    return value_bars(list(values.items()), label=label, description=f"{label} of each system: {described}.")
