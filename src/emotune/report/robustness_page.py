"""Robustness for machines, robustness.json, and for people, robustness.html, a page that needs no other file."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from emotune.evaluation.robustness.effects import DegradationEffect
from emotune.evaluation.robustness.run import Robustness
from emotune.evaluation.statistics.bootstrap import LEVEL
from emotune.io.tables import to_json, write_text
from emotune.report import figures
from emotune.report.markup import (
    Cell,
    bullets,
    document,
    figure,
    heading,
    number,
    paragraph,
    percent,
    scored,
    section,
    table,
    text,
)
from emotune.report.robustness_words import LOSS, MEANINGS, NAMES, conclusions, limits, verdict_of

SCHEMA = "emotune-robustness/1"
JSON, PAGE = "robustness.json", "robustness.html"


def write_robustness(folder: Path, robustness: Robustness, *, title: str, notices: Sequence[str] = ()) -> None:
    """Write ``robustness.json`` and ``robustness.html`` into a folder, each atomically.

    Raises:
        TableError: when the folder cannot be written to.
    """
    content = {"title": title, "notices": list(notices), **robustness_json(robustness)}
    write_text(folder / JSON, to_json(content) + "\n")
    write_text(folder / PAGE, page(robustness, title, notices))


def robustness_json(robustness: Robustness) -> dict[str, object]:
    """Plain lists, dictionaries and numbers; NaN stays NaN here and becomes null in the file."""
    return {
        "schema": SCHEMA,
        "metric": robustness.metric,
        "interval": {"level": LEVEL, "resamples": robustness.resamples, "seed": robustness.seed},
        "speakers": robustness.speakers,
        "chance_uar": robustness.chance,
        "clean": {name: score.to_json() for name, score in robustness.clean.items()},
        "conditions": {
            item.name: {
                "words": item.degradation.words,
                "family": item.degradation.family,
                "clips": item.clips,
                "failed": item.failed,
                "verdict": verdict_of(item.differences[robustness.metric]),
                "scores": {name: score.to_json() for name, score in item.scores.items()},
                "differences": {name: score.to_json() for name, score in item.differences.items()},
                "recalls": dict(item.recalls),
                "changed": item.changed.to_json(),
                "confidence": item.confidence,
                "clean_confidence": item.clean_confidence,
            }
            for item in robustness.effects
        },
        "skipped": dict(robustness.skipped),
        "conclusions": conclusions(robustness),
        "limits": limits(robustness),
    }


def page(robustness: Robustness, title: str, notices: Sequence[str] = ()) -> str:
    """The whole page as HTML."""
    clean = robustness.clean[robustness.metric]
    lost = sum(verdict_of(item.differences[robustness.metric]) == LOSS for item in robustness.effects)
    lead = (
        f"{len(robustness.effects)} conditions, the same clips each time; on clean clips the"
        f" {NAMES[robustness.metric]} is {number(clean.value)}. A loss that one should act on is shown in {lost}."
    )
    banners = [*notices]
    if robustness.failed:
        banners.append(f"Predictions that failed under a condition, left out of its figures: {robustness.failed}.")
    parts = [
        f"<header>\n<h1>{text(title)}</h1>",
        paragraph(lead, "lead"),
        *(f'<p class="notice" role="note">{text(banner)}</p>' for banner in banners),
        "</header>",
        _picture(robustness),
        _conclusions(robustness),
        _figures(robustness),
        _recalls(robustness),
        _skipped(robustness),
    ]
    foot = (
        f"Written by emotune. Intervals: 95 %, expanded percentile bootstrap over speakers,"
        f" {robustness.resamples} resamples, seed {robustness.seed}; differences are paired."
        f" The same figures for machines: {JSON}."
    )
    return document(title, "\n".join(part for part in parts if part), foot)


def _picture(robustness: Robustness) -> str:
    if not robustness.effects:
        return ""
    drawn = figures.degradation_dots(
        [item.degradation.words for item in robustness.effects],
        [item.scores[robustness.metric] for item in robustness.effects],
        robustness.clean[robustness.metric],
        robustness.chance if robustness.metric == "uar" else math.nan,
        NAMES[robustness.metric],
    )
    chance = "; dashed: chance" if robustness.metric == "uar" else ""
    return section(
        "picture",
        f"{NAMES[robustness.metric]} under each condition",
        figure(drawn, f"Dots: the score with its 95 % interval. Line and band: clean clips{chance}."),
    )


def _conclusions(robustness: Robustness) -> str:
    parts = []
    for verdict, sentences in conclusions(robustness).items():
        parts += [heading(MEANINGS[verdict]), bullets(sentences)]
    parts += [heading("What limits these conclusions"), bullets(limits(robustness))]
    return section("conclusions", "What to conclude", *parts)


def _figures(robustness: Robustness) -> str:
    metric = robustness.metric
    heads = ["condition", NAMES[metric], "change", "verdict", "answers changed", "confident", "right", "clips"]
    rows: list[Sequence[object]] = []
    for item in robustness.effects:
        right = item.scores["accuracy"].value if "accuracy" in item.scores else math.nan
        rows.append(
            (
                item.degradation.words,
                scored(item.scores[metric]),
                scored(item.differences[metric]),
                verdict_of(item.differences[metric]),
                percent(item.changed.value),
                percent(item.confidence),
                percent(right),
                item.clips,
            )
        )
    return section(
        "conditions",
        "In figures",
        paragraph(
            "Change: less the score of the same clips as they are, so below zero is a loss. Answers changed: clips"
            " whose most probable class is another one. Confident and right: mean probability of the answer and share"
            f" of right ones; on clean clips {percent(_clean_confidence(robustness.effects))} and"
            f" {percent(robustness.clean['accuracy'].value) if 'accuracy' in robustness.clean else '–'}.",
            "hint",
        ),
        table(heads, rows, kind="conditions"),
    )


def _recalls(robustness: Robustness) -> str:
    if not robustness.classes:
        return ""
    rows = []
    for words, recalls in (
        ("clean", robustness.clean_recalls),
        *((item.degradation.words, item.recalls) for item in robustness.effects),
    ):
        shares = [recalls[name] for name in robustness.classes]
        cells = [
            Cell(f'<td style="--share:{0.0 if math.isnan(share) else share:.3f}">{percent(share)}</td>')
            for share in shares
        ]
        rows.append((words, *cells))
    return section(
        "recalls",
        "Which class suffers",
        paragraph("Recall of each class under each condition.", "hint"),
        table(["condition", *robustness.classes], rows, kind="confusion"),
    )


def _skipped(robustness: Robustness) -> str:
    if not robustness.skipped:
        return ""
    rows = list(robustness.skipped.items())
    return section("skipped", "Conditions left out", table(["condition", "why"], rows, kind="skipped"))


def _clean_confidence(items: Sequence[DegradationEffect]) -> float:
    return items[0].clean_confidence if items else math.nan
