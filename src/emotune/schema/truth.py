"""Truth of an utterance as numbers, NaN where it is unknown."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from emotune.schema.labels import LabelSpace
from emotune.schema.utterance import Utterance

Numbers = tuple[float, ...]


@dataclass(frozen=True)
class Truth:
    """Numbers that a model learns of each utterance.

    Args:
        of: utterance -> as many numbers of every utterance, all or some of them NaN where unknown. Where clips are
            mixed, their numbers are mixed too.
        missing: the end of an error that begins with a loss, for training utterances of which none is known; None where
            that is no error of its own.
        is_matched: a clip is mixed only with one of which the same numbers are known.
    """

    of: Callable[[Utterance], Numbers]
    missing: str | None = None
    is_matched: bool = True

    def is_known(self, utterance: Utterance) -> bool:
        """Says whether all numbers of an utterance are known."""
        return math.isfinite(sum(self.of(utterance)))


def class_index(utterance: Utterance, space: LabelSpace) -> int:
    """The index of an utterance's class, -1 where it has none."""
    return -1 if utterance.emotion is None or not space.classes else space.classes.index(utterance.emotion)


def class_shares(utterance: Utterance, space: LabelSpace) -> Numbers:
    """One for an utterance's class and zero for the others; NaN where it has none."""
    if utterance.emotion is None:
        return (math.nan,) * len(space.classes)
    return tuple(float(name == utterance.emotion) for name in space.classes)


def unit_dimensions(utterance: Utterance, space: LabelSpace) -> Numbers:
    """An utterance's dimensions scaled to [0, 1] in the order of the label space, NaN where unknown."""
    return tuple(
        scale.to_unit(utterance.dimensions[name]) if name in utterance.dimensions else math.nan
        for name, scale in space.dimensions.items()
    )
