"""Robustness for machines, robustness.json, and for people, robustness.html, a page that needs no other file."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from emotune.evaluation.robustness.run import Robustness
from emotune.evaluation.statistics.bootstrap import LEVEL
from emotune.io.tables import to_json, write_text
from emotune.report.figures.dots import degradation_dots
from emotune.report.metric_names import metric_name
from emotune.report.robustness_words import LOSS, MEANINGS, conclusions, limits, verdict_of
from emotune.report.template import Markup, render

SCHEMA = "emotune-robustness/1"
JSON, PAGE = "robustness.json", "robustness.html"


def write_robustness(folder: Path, robustness: Robustness, *, title: str, notices: Sequence[str] = ()) -> None:
    """Writes ``robustness.json`` and ``robustness.html`` into a folder, each atomically.

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
    effects, accuracy = robustness.effects, robustness.clean.get("accuracy")
    verdicts = [verdict_of(item.differences[robustness.metric]) for item in effects]
    rights = [item.scores["accuracy"].value if "accuracy" in item.scores else math.nan for item in effects]
    return render(
        "robustness.html.j2",
        title=title,
        notices=notices,
        robustness=robustness,
        lost=verdicts.count(LOSS),
        picture=_picture(robustness),
        conclusions={MEANINGS[verdict]: sentences for verdict, sentences in conclusions(robustness).items()},
        limits=limits(robustness),
        effects=list(zip(effects, verdicts, rights, strict=True)),
        clean_confidence=effects[0].clean_confidence if effects else math.nan,
        clean_accuracy=accuracy.value if accuracy else math.nan,
        recalls=_recalls(robustness),
    )


def _picture(robustness: Robustness) -> Markup:
    return degradation_dots(
        [item.degradation.words for item in robustness.effects],
        [item.scores[robustness.metric] for item in robustness.effects],
        robustness.clean[robustness.metric],
        robustness.chance if robustness.metric == "uar" else math.nan,
        metric_name(robustness.metric),
    )


def _recalls(robustness: Robustness) -> list[tuple[str, list[float]]]:
    """A row for clean clips and each condition: the recall of each class."""
    rows = [
        ("clean", robustness.clean_recalls),
        *((item.degradation.words, item.recalls) for item in robustness.effects),
    ]
    return [(words, [recalls[name] for name in robustness.classes]) for words, recalls in rows]
