"""What the figures of robustness allow one to say, in sentences."""

from __future__ import annotations

import math

from emotune.evaluation.bootstrap import Estimate
from emotune.evaluation.degradation import Degradation
from emotune.evaluation.notes import FEW_SPEAKERS
from emotune.evaluation.robustness import Robustness

WORTH_A_WARNING = 0.05
"""A shown loss of more than this is a reason not to use the model there."""
OVER_CONFIDENT = 0.1
NAMES = {"uar": "UAR", "ccc": "CCC"}

LOSS, SMALL, NONE, GAIN, UNKNOWN = "loss", "small loss", "no loss shown", "gain", "cannot be said"


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


def conclusions(robustness: Robustness) -> list[str]:
    """One sentence a condition, the worst first, then what limits them all."""
    ranked = sorted(robustness.degradations, key=lambda item: _rank(item.differences[robustness.metric].value))
    return [
        *(_sentence(item, robustness.metric) for item in ranked),
        *_limits(robustness),
    ]


def confidence_words(degradation: Degradation) -> str:
    """Whether the probabilities stay honest under a condition; nothing where they do, or where there are no classes."""
    if "accuracy" not in degradation.scores:
        return ""
    right, sure = degradation.scores["accuracy"].value, degradation.confidence
    if not sure - right > OVER_CONFIDENT:
        return ""
    return f" It does not notice: it is {_percent(sure)} confident and right in {_percent(right)}."


def _sentence(item: Degradation, metric: str) -> str:
    difference, name = item.differences[metric], NAMES[metric]
    words, verdict = item.condition.words, verdict_of(difference)
    by = f"{abs(difference.value):.3f} [{_bounds(difference)}]"
    if verdict == LOSS:
        cure = "unless it is trained for it, or tested on recordings of that kind"
        return f"Do not use this model on {words} {cure}: {name} falls by {by}.{confidence_words(item)}"
    if verdict == SMALL:
        return f"{_start(words)}: a small loss, {name} falls by {by}.{confidence_words(item)}"
    if verdict == GAIN:
        return f"{_start(words)}: no loss; {name} rises by {by}.{confidence_words(item)}"
    if verdict == NONE:
        return (
            f"{_start(words)}: no loss is shown ({difference.value:+.3f}); up to {max(-difference.low, 0.0):.3f} of"
            f" {name} may still be lost, which these clips could not show.{confidence_words(item)}"
        )
    return f"{_start(words)}: nothing can be said, since there is no interval ({difference.value:+.3f})."


def _limits(robustness: Robustness) -> list[str]:
    said = []
    compared = len(robustness.degradations)
    if compared > 1:
        said.append(
            f"There are {compared} comparisons, each with a 95 % interval: about one in twenty would exclude zero by"
            " chance alone."
        )
    if 1 < robustness.speakers < FEW_SPEAKERS:
        said.append(
            f"The intervals rest on {robustness.speakers} speakers; with fewer than {FEW_SPEAKERS} they tend to be too"
            " narrow."
        )
    said.append(
        "The conditions are simulated on these clips. Real noise, rooms and devices differ, and people speak up in"
        " noise: test on recordings of your own before relying on it."
    )
    return said


def _bounds(difference: Estimate) -> str:
    """The bounds of the change's size, in the direction in which it went."""
    low, high = sorted((abs(difference.low), abs(difference.high)))
    return f"{low:.3f}, {high:.3f}"


def _rank(value: float) -> float:
    return value if math.isfinite(value) else math.inf


def _start(words: str) -> str:
    return words[0].upper() + words[1:]


def _percent(share: float) -> str:
    return f"{share:.0%}".replace("%", " %")
