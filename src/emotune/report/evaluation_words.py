"""Sentences of an evaluation's page that depend on its figures."""

from __future__ import annotations

from collections.abc import Sequence

from emotune.evaluation.pairs import FAILED, NOT_FINITE
from emotune.evaluation.result import CalibrationScores, Evaluation
from emotune.report.figures.scatter import DRAWN_POINTS
from emotune.report.numbers import percent

_HONEST = 0.02
"""Within two points, confidence and accuracy are called about the same."""


def resampled(evaluation: Evaluation) -> str:
    """Clusters that the bootstrap drew: speakers, or utterances where no speaker is known."""
    return "speakers" if evaluation.speakers else "utterances"


def lead(evaluation: Evaluation) -> str:
    """Counts of utterances and speakers, and what stands in brackets."""
    of = f" of {evaluation.utterances}" if evaluation.scored != evaluation.utterances else ""
    who = f"{evaluation.speakers} speakers" if evaluation.speakers != 1 else "1 speaker"
    said = f"{evaluation.scored}{of} utterances scored, {who if evaluation.speakers else 'speakers unknown'}."
    if any(score.has_interval for score in evaluation.overall.values()):
        said += f" In brackets: 95 % intervals over {resampled(evaluation)}."
    return said


def failures(evaluation: Evaluation) -> list[str]:
    """One sentence for each way in which predictions failed."""
    return [
        f"Left out of these figures because {item.reason}: {item.count} of {evaluation.utterances} utterances."
        for item in evaluation.not_scored
        if item.reason in (FAILED, NOT_FINITE)
    ]


def drawn_of(utterances: int) -> str:
    """Says how many points a scatter plot shows; empty where it shows all."""
    drawn = min(utterances, DRAWN_POINTS)
    return f" {drawn} of {utterances} utterances are drawn." if drawn < utterances else ""


def calibration_words(calibration: CalibrationScores) -> str:
    """Mean confidence against accuracy, and which of the two is larger."""
    confident = sum(item.confidence * item.count for item in calibration.bins if item.count)
    right = sum(item.accuracy * item.count for item in calibration.bins if item.count)
    total = sum(item.count for item in calibration.bins)
    lean = "over-confident" if confident > right else "under-confident"
    lean = lean if abs(confident - right) > _HONEST * total else "about right overall"
    return (
        f"The model is {percent(confident / total)} confident on average and right in {percent(right / total)}: {lean}."
    )


def by_kinds(kinds: Sequence[str]) -> str:
    """Title of the section on groups.

    >>> by_kinds(["gender", "age", "language"])
    'By gender, age and language'
    """
    *others, last = kinds
    return f"By {', '.join(others)} and {last}" if others else f"By {last}"
