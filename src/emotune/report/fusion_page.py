"""A fusion's results: predictions.csv and manifest.csv, fusion.json for machines, and fusion.html for people."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from emotune.fusion import Fusion
from emotune.fusion.runs import FusedSplit
from emotune.io.tables import to_json, write_text
from emotune.report import figures
from emotune.report.markup import bullets, document, figure, number, pair, paragraph, section, table, text
from emotune.report.sections import metric_name

_METHODS = {
    "weights": "sum of the systems' answers by weights of at least 0 that sum to one",
    "stacking": "linear model over the systems' answers",
    "majority": "majority vote, ties broken by mean probability",
}


def write_fusion(folder: Path, fused: FusedSplit) -> None:
    """Write the fused table, its truth where there is one, ``fusion.json`` and ``fusion.html``.

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
    title = f"Fusion of {len(first.names)} systems: {fused.split}"
    parts = [_headline(fused, first, title), _notes(fused), _scores(fused, first), _weights(fused), _left_out(fused)]
    purpose = "fitted for" if first.fits else "nothing is fitted; scored by"
    footer = (
        f"Written by emotune. Method: {_METHODS[first.method]}; {purpose} {text(metric_name(first.metric))}, seed"
        f" {first.seed}. The same figures for machines: fusion.json."
    )
    return document(title, "\n".join(part for part in parts if part), footer)


def mean_over_folds(fused: FusedSplit, of: Callable[[Fusion], float]) -> float:
    """A figure of each fold's fusion, its mean over the folds."""
    values = [of(fitted) for fitted in fused.folds.values()]
    return sum(values) / len(values)


def part_names(fitted: Fusion) -> tuple[str, str]:
    """What the two parts of development are for."""
    return "fitted on" if fitted.fits else "chosen on", "reported on"


def _headline(fused: FusedSplit, first: Fusion, title: str) -> str:
    name, scores = metric_name(first.metric), fused.scores()
    lines = []
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
    failed = len(fused.predictions.failed)
    answered = f"{len(fused.predictions)} utterances, {failed} of them without a fused answer."
    return f"<header>\n<h1>{text(title)}</h1>\n{paragraph(answered, 'lead')}\n{bullets(lines)}\n</header>"


def _best(fused: FusedSplit) -> str:
    chosen = [fitted.best_single for fitted in fused.folds.values()]
    return ", ".join(
        f"{name} ({chosen.count(name)} folds)" if len(chosen) > 1 else name for name in dict.fromkeys(chosen)
    )


def _notes(fused: FusedSplit) -> str:
    always = (
        "Single systems usually chose their epoch on this very development split, so that its figures flatter them all;"
        " only figures of a split that chose nothing are honest ones."
    )
    return section("notes", "What to know before reading", bullets([*fused.notes, always]))


def _scores(fused: FusedSplit, first: Fusion) -> str:
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
    drawn = figures.paired_dots(
        list(figures_of),
        {part: [values[which] for values in figures_of.values()] for which, part in enumerate(parts)},
        name,
    )
    heads = ["system", *parts, *([fused.split] if scores else [])]
    rows = [
        (system, number(fit), number(report), *([number(scores[system])] if scores else []))
        for system, (fit, report) in figures_of.items()
    ]
    sizes = [
        sum(fitted.fitted_on.utterances for fitted in fused.folds.values()),
        sum(fitted.reported_on.utterances for fitted in fused.folds.values()),
    ]
    counts = ", ".join(f"{size} utterances {part}" for size, part in zip(sizes, parts, strict=True))
    flattered = f"the dot for '{parts[0]}' is optimistic" if first.fits else "the first chooses the best single system"
    caption = f"{name} on the two parts of development ({counts}); {flattered}."
    return section("scores", "What the fusion gains", pair(figure(drawn, caption), table(heads, rows)))


def _weights(fused: FusedSplit) -> str:
    each = {fold: fitted.weights for fold, fitted in fused.folds.items()}
    if any(weights is None for weights in each.values()):
        return ""
    means = {
        name: mean_over_folds(fused, lambda fitted, name=name: (fitted.weights or {})[name]) for name in fused.singles
    }
    drawn = _bars(means, "weight")
    several = len(each) > 1
    rows = [(name, number(mean), *_each_fold(each, name, several)) for name, mean in means.items()]
    caption = "Weight of each system" + (", mean over the folds." if several else ".")
    heads = ["system", "mean" if several else "weight", *(list(each) if several else [])]
    return section("weights", "Weights", pair(figure(drawn, caption), table(heads, rows)))


def _each_fold(each: Mapping[str, Mapping[str, float] | None], name: str, several: bool) -> Sequence[str]:
    return [number((weights or {}).get(name, math.nan)) for weights in each.values()] if several else []


def _left_out(fused: FusedSplit) -> str:
    """What each system contributes: the fusion less the one without it."""
    lost = {
        name: mean_over_folds(fused, lambda fitted, name=name: fitted.reported_on.fused - fitted.left_out[name])
        for name in fused.singles
    }
    without = {name: mean_over_folds(fused, lambda fitted, name=name: fitted.left_out[name]) for name in fused.singles}
    drawn = _bars(lost, "lost without it")
    others = "all is refitted" if next(iter(fused.folds.values())).fits else "the others vote"
    rows = [(name, number(without[name]), f"{value:+.3f}") for name, value in lost.items()]
    return section(
        "leave-one-out",
        "Who contributes",
        pair(
            figure(
                drawn,
                f"What the fusion loses on the part for reporting when one system is left out and {others}.",
            ),
            table(["left out", "fused without it", "lost"], rows),
        ),
        paragraph(
            "Below zero: the others do better without it. Systems that stand in for each other all look idle.", "hint"
        ),
    )


def _bars(values: Mapping[str, float], label: str) -> str:
    described = "; ".join(f"{name} {number(value)}" for name, value in values.items())
    return figures.value_bars(list(values.items()), label=label, description=f"{label} of each system: {described}.")
