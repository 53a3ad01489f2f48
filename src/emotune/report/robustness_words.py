"""What the figures of robustness allow one to say, in sentences."""

from __future__ import annotations

import math

from emotune.evaluation.notes import FEW_SPEAKERS
from emotune.evaluation.robustness.degradations import PIECE
from emotune.evaluation.robustness.effects import DegradationEffect
from emotune.evaluation.robustness.run import Robustness
from emotune.evaluation.statistics.bootstrap import FEWEST_CLUSTERS, Estimate
from emotune.report.markup import percent

WORTH_A_WARNING = 0.05
"""A shown loss of more than this is a reason not to use the model there."""
OVER_CONFIDENT = 0.1
NAMES = {"uar": "UAR", "ccc": "CCC"}

LOSS, SMALL, NONE, GAIN, UNKNOWN = "loss", "small loss", "no loss shown", "gain", "cannot be said"
MEANINGS = {
    LOSS: "Do not use the model here without training it for this and testing it on such recordings",
    SMALL: "A small loss",
    NONE: "No loss is shown, which does not prove that there is none",
    GAIN: "Better than on clean clips",
    UNKNOWN: "Nothing can be said, for want of an interval",
}
"""What each verdict tells a user, the gravest first."""


def verdict_of(difference: Estimate) -> str:
    """What an interval of a difference, below 0 a loss, allows one to say.

    >>> verdict_of(Estimate(-0.2, -0.3, -0.1)), verdict_of(Estimate(-0.2, -0.5, 0.1))
    ('loss', 'no loss shown')
    """
    if not difference.has_interval:
        return UNKNOWN
    if difference.high < 0:
        return LOSS if difference.value < -WORTH_A_WARNING else SMALL
    return GAIN if difference.low > 0 else NONE


def conclusions(robustness: Robustness) -> dict[str, list[str]]:
    """Verdict -> one sentence a degradation that got it, the worst first; verdicts that none got are left out."""
    metric = robustness.metric
    ranked = sorted(robustness.effects, key=lambda item: _rank(item.differences[metric].value))
    found = {
        verdict: [_sentence(item, metric) for item in ranked if verdict_of(item.differences[metric]) == verdict]
        for verdict in MEANINGS
    }
    return {verdict: sentences for verdict, sentences in found.items() if sentences}


def confidence_words(effect: DegradationEffect) -> str:
    """Whether the probabilities stay honest under a degradation; nothing where they do, or without classes."""
    if "accuracy" not in effect.scores:
        return ""
    right, sure = effect.scores["accuracy"].value, effect.confidence
    if not sure - right > OVER_CONFIDENT:
        return ""
    return f" It does not notice: it is {percent(sure)} confident and right in {percent(right)}."


def _sentence(item: DegradationEffect, metric: str) -> str:
    difference, name = item.differences[metric], NAMES[metric]
    said = f"{item.degradation.words[0].upper()}{item.degradation.words[1:]}: {name} {item.scores[metric].value:.3f}"
    said += f", a change of {difference.in_words('+')}."
    if verdict_of(difference) == NONE:
        said += f" A loss of up to {-difference.low:.3f} would fit these figures."
    return said + confidence_words(item)


def limits(robustness: Robustness) -> list[str]:
    """What all the verdicts rest on, in sentences."""
    said = []
    compared = len(robustness.effects)
    if compared > 1:
        said.append(
            f"There are {compared} comparisons, each with a 95 % interval: about one in twenty would exclude zero by"
            " chance alone."
        )
    if 1 < robustness.speakers < FEW_SPEAKERS:
        said.append(
            f"The intervals rest on {robustness.speakers} speakers; with fewer than {FEW_SPEAKERS} they tend to be too"
            " narrow."
            if robustness.speakers >= FEWEST_CLUSTERS
            else f"{robustness.speakers} speakers are too few for intervals."
        )
    if any(item.degradation.family == PIECE for item in robustness.effects):
        said.append("Cuts count from where the recording begins, with the silence before speech.")
    said.append(
        "The conditions are simulated on these clips. Real noise, rooms and devices differ, and people speak up in"
        " noise: test on recordings of your own before relying on it."
    )
    return said


def _rank(value: float) -> float:
    return value if math.isfinite(value) else math.inf
