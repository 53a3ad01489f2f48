"""The report's sections, each from an evaluation to HTML; one that has nothing to show is empty."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from emotune.evaluation.groups import AGE, DURATION, GENDER, LANGUAGE, SPEAKER
from emotune.evaluation.pairs import FAILED, NOT_FINITE
from emotune.evaluation.result import Evaluation
from emotune.evaluation.statistics.bootstrap import Estimate
from emotune.report import figures
from emotune.report.markup import Cell, figure, interval, number, pair, paragraph, percent, scored, section, table, text

_HONEST = 0.02
"""Within two points, confidence and accuracy are called about the same."""
NAMES = {"uar": "UAR", "macro_f1": "Macro-F1", "accuracy": "Accuracy"}
"""Metrics of classes that a report shows, and their names."""
_TRUE_CLASSES = "Macro-F1 of the true classes"


def headline(evaluation: Evaluation, title: str, notices: Sequence[str]) -> str:
    """Title, banners and the figures that one would quote."""
    banners = [*notices]
    for item in evaluation.not_scored:
        if item.reason in (FAILED, NOT_FINITE):
            banners.append(
                f"Left out of these figures because {item.reason}: {item.count} of {evaluation.utterances} utterances."
            )
    cards = []
    for name, score in evaluation.overall.items():
        if name in NAMES or name.startswith("ccc."):
            hints = {"uar": f"chance {number(evaluation.chance)}", "macro_f1": "over true and answered classes"}
            cards.append(_card(metric_name(name), score, hints.get(name, "")))
    if evaluation.calibration:
        cards.append(_card("Calibration error", evaluation.calibration.expected_calibration_error, "less is better"))
    of = f" of {evaluation.utterances}" if evaluation.scored != evaluation.utterances else ""
    who = f"{evaluation.speakers} speakers" if evaluation.speakers != 1 else "1 speaker"
    lead = f"{evaluation.scored}{of} utterances scored, {who if evaluation.speakers else 'speakers unknown'}."
    if any(score.has_interval for score in evaluation.overall.values()):
        lead += f" In brackets: 95 % intervals over {resampled(evaluation)}."
    return "\n".join(
        [
            f"<header>\n<h1>{text(title)}</h1>",
            paragraph(lead, "lead"),
            *(f'<p class="notice" role="note">{text(banner)}</p>' for banner in banners),
            f'<dl class="cards" id="figures">{"".join(cards)}</dl>\n</header>',
        ]
    )


def resampled(evaluation: Evaluation) -> str:
    """What the bootstrap drew: speakers, or utterances where no speaker is known."""
    return "speakers" if evaluation.speakers else "utterances"


def confusion_section(evaluation: Evaluation) -> str:
    if not evaluation.classes:
        return ""
    rows = []
    for name, counts in zip(evaluation.classes, evaluation.confusion, strict=True):
        total = int(counts.sum())
        cells: list[object] = []
        for other, count in zip(evaluation.classes, counts, strict=True):
            share = count / total if total else 0.0
            hit = ' class="hit"' if other == name else ""
            shown = percent(share) if total else "–"
            cells.append(Cell(f'<td{hit} style="--share:{share:.3f}">{shown}<small>{count}</small></td>'))
        rows.append((name, *cells, total))
    return section(
        "confusion",
        "Confusion matrix",
        paragraph(
            "A row is a class of the truth, a column what the model said: the share of the row, and below it the count."
            " Outlined: recall.",
            "hint",
        ),
        table(["truth \\ predicted", *evaluation.classes, "all"], rows, kind="confusion"),
    )


def class_section(evaluation: Evaluation) -> str:
    if not evaluation.classes:
        return ""
    rows = [
        (item.name, scored(item.recall), number(item.precision), number(item.f1), item.support, item.predicted)
        for item in evaluation.per_class
    ]
    return section(
        "classes",
        "By class",
        pair(
            figure(
                figures.class_bars(evaluation.per_class, evaluation.chance),
                f"Recall{_with_intervals(evaluation)}; dashed: chance.",
            ),
            table(["class", "recall", "precision", "F1", "true", "predicted"], rows),
        ),
    )


def dimension_section(evaluation: Evaluation) -> str:
    if not evaluation.dimensions:
        return ""
    rows = [
        (
            item.name,
            scored(item.ccc),
            scored(item.pearson),
            scored(item.rmse),
            f"{item.scale.low:g} to {item.scale.high:g}",
            item.utterances,
        )
        for item in evaluation.dimensions
    ]
    plots = []
    for item in evaluation.dimensions:
        drawn = min(item.utterances, figures.DRAWN_POINTS)
        some = f" {drawn} of {item.utterances} utterances are drawn." if drawn < item.utterances else ""
        plots.append(figure(figures.dimension_scatter(item), f"Prediction against truth, {item.name}.{some}"))
    return section(
        "dimensions",
        "By dimension",
        table(["dimension", "CCC", "Pearson", "RMSE", "scale", "utterances"], rows),
        paragraph("RMSE is on the scale of the annotation. Dashed: where prediction and truth are equal.", "hint"),
        pair(*plots),
    )


def speaker_section(evaluation: Evaluation) -> str:
    groups = evaluation.groups_by(SPEAKER)
    if not groups:
        return ""
    shown = " open" if len(groups) <= figures.NAMED_SPEAKERS else ""
    whole = _group_table(evaluation, (SPEAKER,))
    listed = f"<details{shown}><summary>Each speaker in figures ({len(groups)})</summary>{whole}</details>"
    drawn = ""
    if evaluation.classes:
        drawn = figure(
            figures.speaker_dots(groups, evaluation.overall["uar"], evaluation.chance),
            "UAR of each speaker. Line: all speakers"
            f"{', band: their 95 % interval' if evaluation.overall['uar'].has_interval else ''}; dashed: chance.",
        )
    return section("speakers", "By speaker", pair(drawn, listed))


def group_section(evaluation: Evaluation) -> str:
    kinds = [kind for kind in (GENDER, AGE, LANGUAGE, DURATION) if evaluation.groups_by(kind)]
    if not kinds:
        return ""
    *others, last = kinds
    named = f"{', '.join(others)} and {last}" if others else last
    return section("groups", f"By {named}", _group_table(evaluation, kinds))


def calibration_section(evaluation: Evaluation) -> str:
    if evaluation.calibration is None:
        return ""
    found = evaluation.calibration
    rows = [
        ("Expected calibration error", scored(found.expected_calibration_error)),
        ("Brier score", scored(found.brier_score)),
        ("Negative log-likelihood", scored(found.negative_log_likelihood)),
    ]
    confident = sum(item.confidence * item.count for item in found.bins if item.count)
    right = sum(item.accuracy * item.count for item in found.bins if item.count)
    total = sum(item.count for item in found.bins)
    lean = "over-confident" if confident > right else "under-confident"
    lean = lean if abs(confident - right) > _HONEST * total else "about right overall"
    said = f"The model is {confident / total:.0%} confident on average and right in {right / total:.0%}: {lean}."
    return section(
        "calibration",
        "Calibration",
        pair(
            figure(
                figures.reliability(found),
                "Accuracy against confidence, the probability of the most probable class, in ten bins; a larger dot"
                " stands for more utterances; dashed: honest.",
            ),
            paragraph(said.replace("%", " %")) + table(["less is better", "all utterances"], rows),
        ),
    )


def learning_section(history: Sequence[Mapping[str, float]]) -> str:
    if not history:
        return ""
    losses = {key: key.split("_")[0] for key in ("train_loss", "development_loss") if _drawn(history, key)}
    offered = list(dict.fromkeys(key for row in history for key in row if key.startswith("development_")))
    usual = [f"development_{name}" for name in ("uar", "macro_f1", "ccc")]
    metrics = [key for key in usual if _drawn(history, key)]
    metrics = metrics or [key for key in offered if key != "development_loss" and _drawn(history, key)][:3]
    best, why = _best_epoch(history, metrics)
    panels = [
        figure(figures.learning_curve(history, keys, best, label), caption)
        for keys, label, caption in (
            (losses, "loss", "Loss in training and on the development split."),
            ({key: metric_name(key) for key in metrics}, "score", "Scores on the development split."),
        )
        if keys
    ]
    return section("learning", "Learning curves", paragraph(why, "hint"), pair(*panels)) if panels else ""


def _best_epoch(history: Sequence[Mapping[str, float]], metrics: Sequence[str]) -> tuple[float | None, str]:
    """The epoch to mark, and why: by its own mark, else the first metric's maximum, else the least loss."""
    marked = [row["epoch"] for row in history if row.get("best") and "epoch" in row]
    if marked:
        return marked[-1], f"Epoch {marked[-1]:g}, dashed, was kept."
    for key, sign, word in (*((key, 1, "highest") for key in metrics[:1]), ("development_loss", -1, "lowest")):
        rows = [row for row in history if "epoch" in row and math.isfinite(row.get(key, math.nan))]
        if rows:
            best = max(rows, key=lambda row: sign * row[key])["epoch"]
            return best, f"Epoch {best:g}, dashed, has the {word} {metric_name(key)} in development."
    return None, ""


def _drawn(history: Sequence[Mapping[str, float]], key: str) -> bool:
    return any(math.isfinite(row.get(key, math.nan)) and "epoch" in row for row in history)


def _group_table(evaluation: Evaluation, kinds: Sequence[str]) -> str:
    metrics = [name for name in evaluation.overall if name in NAMES or name.startswith("ccc.")]
    heads = ["group", "utterances", "speakers", *(metric_name(name) for name in metrics)]
    rows: list[Sequence[object]] = []
    for kind in kinds:
        groups = evaluation.groups_by(kind)
        if groups and len(kinds) > 1:
            rows.append((kind,))
        for group in groups:
            rows.append(
                (group.name, group.utterances, group.speakers or "–", *(scored(group.scores[name]) for name in metrics))
            )
    if kinds == (SPEAKER,):
        heads[0] = SPEAKER
        heads.pop(2)
        rows = [(*row[:2], *row[3:]) for row in rows]
    return table(heads, rows)


def _with_intervals(evaluation: Evaluation) -> str:
    return " with 95 % intervals" if any(item.recall.has_interval for item in evaluation.per_class) else ""


def metric_name(metric: str) -> str:
    """The metric's name for people: ``development_macro_f1`` -> ``Macro-F1``, ``ccc.arousal`` -> ``CCC arousal``."""
    plain = metric.removeprefix("development_")
    named = NAMES.get(plain) or (_TRUE_CLASSES if plain == "macro_f1_true_classes" else None)
    return named or plain.replace("ccc", "CCC").replace("_", " ").replace(".", " ")


def _card(name: str, score: Estimate, hint: str) -> str:
    below = "".join(f'<dd class="interval">{text(part)}</dd>' for part in (interval(score), hint) if part)
    return f'<div class="card"><dt>{text(name)}</dt><dd class="value">{number(score.value)}</dd>{below}</div>'
