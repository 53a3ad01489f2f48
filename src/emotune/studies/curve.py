"""Learning curves of a study: every scored step at several values of one key, such as the share of labels."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from emotune.evaluation.comparing.comparison import Difference
from emotune.evaluation.comparing.verdicts import p_text
from emotune.evaluation.statistics.bootstrap import Estimate
from emotune.studies.results import TestResult
from emotune.studies.study import RUN_OF, Curve, Study, StudyStep
from emotune.studies.table import bounded


def at_each_value(study: Study) -> Study:
    """A study with every scored step once at each value of its curve; one without a curve, or written out, as it is.

    Step NAME becomes NAME-VALUE, which is compared with, starts from and uses what it named at the same value.
    """
    curve = study.curve
    if curve is None or curve.lines:
        return study
    scored = study.scored_steps
    steps = [step for step in study.steps if not step.scored]
    for value in curve.values:
        for step in study.steps:
            if step.scored:
                steps.append(_at(step, value, curve, scored))
    lines = {name: {value: _name_at(name, value) for value in curve.values} for name in scored}
    return study.model_copy(update={"steps": steps, "curve": curve.model_copy(update={"lines": lines})})


def _name_at(name: str, value: float) -> str:
    return f"{name}-{value:g}"


def _at(step: StudyStep, value: float, curve: Curve, scored: Sequence[str]) -> StudyStep:
    place = scored.index(step.name)
    before = step.against or (None if step.starts_from or not place else scored[place - 1])
    return step.model_copy(
        update={
            "name": _name_at(step.name, value),
            "starts_from": [_name_at(name, value) for name in step.starts_from],
            "changes": {**_with_runs_at(step.changes, value, scored), curve.key: value},
            "against": before and _name_at(before, value),
            "seeds": step.seeds or curve.seeds.get(value),
        }
    )


def _with_runs_at(changes: Any, value: float, scored: Sequence[str]) -> Any:
    """Changes whose ``{run:NAME}`` names runs at a value."""
    if isinstance(changes, str):

        def renamed(found: re.Match[str]) -> str:
            return "{run:" + (_name_at(found[1], value) if found[1] in scored else found[1]) + "}"

        return RUN_OF.sub(renamed, changes)
    if isinstance(changes, Mapping):
        return {key: _with_runs_at(item, value, scored) for key, item in changes.items()}
    return [_with_runs_at(item, value, scored) for item in changes] if isinstance(changes, list) else changes


@dataclass(frozen=True)
class CurvePoint:
    """A step at one value: its score, its difference to what it is compared with, and the number of its runs."""

    value: float
    step: str
    score: Estimate
    found: Difference | None
    runs: int


def points_of(curve: Curve, test: TestResult, metric: str) -> dict[str, list[CurvePoint]]:
    """Points of each line with results, in the order of the values."""
    scores = test.comparison.scores[metric]
    lines = {
        name: [
            CurvePoint(value, step, scores[step], test.difference(step, metric), test.comparison.runs[step])
            for value, step in sorted(steps.items())
            if step in scores
        ]
        for name, steps in curve.lines.items()
    }
    return {name: points for name, points in lines.items() if points}


def key_name(key: str) -> str:
    """The name of a curve's key for people."""
    return "share of labels" if key == "data.budget" else key


def in_words(point: CurvePoint) -> str:
    """Score of a point with its interval, and the difference to what it is compared with."""
    score, found = point.score, point.found
    said = bounded(score.value, score.low, score.high)
    return said if found is None else f"{said}, {found.estimate.value:+.3f} (p {p_text(found.p)})"


def curve_rows(curve: Curve, points: Mapping[str, Sequence[CurvePoint]]) -> list[tuple[str, list[CurvePoint | None]]]:
    """A row for each line, with a cell for each value of the curve."""
    return [
        (name, [next((point for point in line if point.value == value), None) for value in curve.values])
        for name, line in points.items()
    ]
