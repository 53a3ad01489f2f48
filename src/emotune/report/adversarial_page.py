"""Audit for machines, adversarial.json, and for people, adversarial.html, with an example to listen to beside it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

from emotune.evaluation.adversarial.audit import ATTACKED, FOLDER, ORIGINAL, Audit
from emotune.evaluation.robustness.effects import DegradationEffect
from emotune.evaluation.statistics.bootstrap import LEVEL
from emotune.io.tables import to_json, write_text
from emotune.report.adversarial_words import conclusions, heard_words, limits
from emotune.report.figures.dots import degradation_dots
from emotune.report.robustness_words import LOSS, verdict_of
from emotune.report.template import Markup, render

SCHEMA = "emotune-adversarial/1"
JSON, PAGE = "adversarial.json", "adversarial.html"


def write_audit(folder: Path, audit: Audit, *, title: str, notices: Sequence[str] = ()) -> None:
    """Writes ``adversarial.json`` and ``adversarial.html`` into a folder, each atomically.

    Raises:
        TableError: when the folder cannot be written to.
    """
    content = {"title": title, "notices": list(notices), **audit_json(audit)}
    write_text(folder / JSON, to_json(content) + "\n")
    write_text(folder / PAGE, page(audit, title, notices))


def audit_json(audit: Audit) -> dict[str, object]:
    """Plain lists, dictionaries and numbers; NaN stays NaN here and becomes null in the file."""
    return {
        "schema": SCHEMA,
        "interval": {"level": LEVEL, "resamples": audit.resamples, "seed": audit.seed},
        "clips": audit.clips,
        "of": audit.of,
        "chance_uar": audit.clean.chance,
        "clean": {**_effect_json(audit.clean), "by_gender": _by_gender_json(audit.clean_by_gender)},
        "attacks": {
            item.attack.slug: {
                "attack": item.attack.text,
                "words": item.attack.words,
                **_effect_json(item.effect),
                "by_gender": _by_gender_json(item.by_gender),
                "size": dataclasses.asdict(item.size),
            }
            for item in audit.effects
        },
        "example": None if audit.example is None else dataclasses.asdict(audit.example),
        "skipped": dict(audit.skipped),
        "conclusions": conclusions(audit),
        "limits": limits(audit),
    }


def _by_gender_json(effects: Mapping[str, DegradationEffect]) -> dict[str, dict[str, object]]:
    return {gender: _effect_json(effect) for gender, effect in effects.items()}


def _effect_json(effect: DegradationEffect) -> dict[str, object]:
    return {
        "clips": effect.clips,
        "failed": effect.failed,
        "scores": {name: score.to_json() for name, score in effect.scores.items() if name != "ccc"},
        "differences": {name: score.to_json() for name, score in effect.differences.items() if name != "ccc"},
        "recalls": dict(effect.recalls),
        "changed": effect.changed.to_json(),
        "confidence": effect.confidence,
    }


def page(audit: Audit, title: str, notices: Sequence[str] = ()) -> str:
    """Renders the whole page as HTML."""
    effects = audit.effects
    genders = list(audit.clean_by_gender)
    of_genders = [("none", audit.clean_by_gender), *((item.attack.words, item.by_gender) for item in effects)]
    return render(
        "adversarial.html.j2",
        title=title,
        notices=notices,
        audit=audit,
        lost=sum(verdict_of(item.effect.differences["uar"]) == LOSS for item in effects),
        picture=_picture(audit),
        conclusions=conclusions(audit),
        limits=limits(audit),
        genders=genders,
        by_gender=[(words, [own.get(gender) for gender in genders]) for words, own in of_genders],
        sizes=[(item, heard_words(item.size)) for item in effects],
        recalls=[(words, list(recalls.values())) for words, recalls in _recalls(audit)],
        classes=list(audit.clean.recalls),
        original=f"{FOLDER}/{ORIGINAL}",
        attacked=f"{FOLDER}/{ATTACKED}",
    )


def _recalls(audit: Audit) -> list[tuple[str, Mapping[str, float]]]:
    """Rows for clean clips and each attack: the recall of each class."""
    return [("clean", audit.clean.recalls), *((item.attack.words, item.effect.recalls) for item in audit.effects)]


def _picture(audit: Audit) -> Markup:
    return degradation_dots(
        [item.attack.words for item in audit.effects],
        [item.effect.scores["uar"] for item in audit.effects],
        audit.clean.scores["uar"],
        audit.clean.chance,
        "UAR",
    )
