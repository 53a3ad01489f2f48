"""Words of a comparison: the verdict on each difference, and notes on its limits."""

from __future__ import annotations

import math
from collections.abc import Sequence

from emotune.evaluation.comparing.comparison import SIGNIFICANT, Comparison, Difference
from emotune.evaluation.notes import FEW_SPEAKERS
from emotune.evaluation.statistics.bootstrap import FEWEST_CLUSTERS


def summary(differences: Sequence[Difference]) -> list[str]:
    """Sentences on a comparison: one for each difference found, and one or two for all others."""
    told, apart = [], []
    beyond: dict[str, list[str]] = {}
    for item in differences:
        if _is_tested(item) and not _is_found(item):
            could = item.smallest_p <= SIGNIFICANT
            apart += [f"{item.system} and {item.baseline} ({item.detectable:.3f})"] if could else []
            if not could:
                beyond.setdefault(f"{item.smallest_p:.3g}", []).append(f"{item.system} and {item.baseline}")
        else:
            told.append(item.verdict)
    if apart:
        told.append(
            f"Cannot be told apart, in brackets the difference that this test set usually shows: {', '.join(apart)}."
        )
    for smallest, pairs in beyond.items():
        told.append(
            f"Cannot be told apart, and no two systems could have been, since corrected p cannot be below {smallest}"
            f" here: {', '.join(pairs)}."
        )
    return told


def _is_tested(difference: Difference) -> bool:
    estimate = difference.estimate
    is_same = estimate.low == estimate.high == estimate.value == 0
    return math.isfinite(estimate.value) and estimate.has_interval and not is_same and math.isfinite(difference.p)


def _is_found(difference: Difference) -> bool:
    if math.isfinite(difference.p):
        return difference.corrected_p <= SIGNIFICANT
    return difference.estimate.low > 0 or difference.estimate.high < 0


def verdict(difference: Difference) -> str:
    """A difference in a sentence."""
    low, high, value = difference.estimate.low, difference.estimate.high, difference.estimate.value
    both = f"{difference.system} and {difference.baseline}"
    if not math.isfinite(value):
        return f"The difference of {both} is undefined."
    if not difference.estimate.has_interval:
        return f"{both} cannot be compared beyond the one or two speakers there are."
    if low == high == value == 0:
        return f"{both} score the same, whichever speakers are drawn."
    tested = math.isfinite(difference.p)
    if _is_found(difference):
        sure = f"corrected p {p_text(difference.corrected_p)}" if tested else "by the interval alone"
        direction = "higher" if value > 0 else "lower"
        return f"{difference.system} scores {direction} than {difference.baseline} by {abs(value):.3f} ({sure})."
    if tested and difference.smallest_p > SIGNIFICANT:
        return (
            f"{both} cannot be told apart, and no two systems could have been: corrected p cannot be below"
            f" {difference.smallest_p:.3g} here."
        )
    known = "" if abs(value) < difference.detectable else f" (corrected p {p_text(difference.corrected_p)})"
    word = "usually shows" if known else "would have shown"
    return f"{both} cannot be told apart{known}; this test set {word} a difference of {difference.detectable:.3f}."


def p_text(p: float) -> str:
    """A p value for people.

    >>> p_text(0.0312), p_text(0.00002), p_text(float("nan"))
    ('0.031', '<0.001', '–')
    """
    if not math.isfinite(p):
        return "–"
    return f"{p:.3f}" if p >= 0.001 else "<0.001"


def p_is(p: float) -> str:
    """A p value in a sentence.

    >>> p_is(0.0312), p_is(0.0005)
    ('p = 0.031', 'p < 0.001')
    """
    return f"p = {p_text(p)}".replace("= <", "< ")


def notes_of_comparison(comparison: Comparison, unknown: int) -> list[str]:
    """Notes on the limits of a comparison; ``unknown`` = compared utterances without a speaker."""
    notes = []
    clusters = comparison.clusters
    if unknown:
        notes.append(
            f"{unknown} of {comparison.compared} compared utterances have no known speaker. Each is its own cluster; if"
            " they share speakers, intervals are too narrow and p too small."
        )
    if clusters < FEW_SPEAKERS:
        said = "intervals tend to be too narrow, although they are widened for few"
        notes.append(
            f"All rests on {clusters} speaker{'s' * (clusters != 1)}: p cannot be below 2^-{clusters - 1} ="
            f" {2.0 ** (1 - clusters):.3g}, and"
            f" {said if clusters >= FEWEST_CLUSTERS else 'there are no intervals, for which they are too few'}."
        )
    pairs = len(comparison.differences) // len(comparison.scores)
    if pairs > 1:
        notes.append(
            f"Corrected p (Holm) and what is detectable allow for the {pairs} differences by each metric, not for there"
            " being several metrics: choose one beforehand."
        )
    several = [f"{name} ({count})" for name, count in comparison.runs.items() if count > 1]
    if several:
        notes.append(
            f"Means over runs: {', '.join(several)}. Intervals and p tell of other speakers, with these very runs; how"
            " much another seed would change is not in them."
        )
    if any(item.estimate.has_interval and math.isnan(item.p) for item in comparison.differences):
        notes.append(
            "Where two systems have several runs each and not equally many, predictions cannot be swapped: there is no"
            " p, and the verdict goes by the interval."
        )
    for item in comparison.failures_wrong:
        notes.append(
            f"Failed predictions counted as wrong instead of left out, by {item.metric}: difference"
            f" {item.estimate.in_words('+')}, corrected p {p_text(item.corrected_p)}. {item.verdict}"
        )
    return notes
