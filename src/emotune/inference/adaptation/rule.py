"""Rule of adaptation: how far a speaker's answers are moved, from what the model says of the speaker's clips alone.

A model hears a speaker's ways as emotion: a loud voice as anger. Where a speaker shows several emotions, the mean of
the answers is the speaker's way, and is taken away; where the speaker is in one mood, it is the mood, and must stay.
With a linear head, a shift of the log-probabilities is a shift of the features, so that the rule needs no features.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from emotune.schema.prior import SMALLEST, with_offsets

FEW_CLIPS = 3.0
"""clips whose mean is worth as much as none"""
WHOLE_CORPUS = 0.5
"""mean trust in speakers from which their corpus is trusted as one of them would be"""


@dataclass(frozen=True)
class Trust:
    """Trust that a mean of answers is a speaker's way and no mood: each pair is where it begins and where it is whole.

    Args:
        even: spread of the answers over the classes, from 0, one class, to 1, all alike.
        told_apart: mutual information of clip and answer in nats, which is 0 where all clips get the same answer.
        better: gain in that information by the shift; a mood that is taken away leaves less of it.
    """

    even: tuple[float, float] = (0.5, 1.0)
    told_apart: tuple[float, float] = (math.log(1.3), math.log(1.6))
    better: tuple[float, float] = (0.0, math.log(1.02))

    def __call__(self, answers: NDArray[np.float64], mean: NDArray[np.float64]) -> float:
        """Trust, from 0 to 1, in the mean of answers of shape (clips, classes)."""
        evenness = (math.exp(_entropy(answers.mean(axis=0))) - 1) / (answers.shape[1] - 1)
        told_apart = _information(answers)
        gain = _information(with_offsets(answers, -mean)) - told_apart
        return _ramp(evenness, self.even) * _ramp(told_apart, self.told_apart) * _ramp(gain, self.better)


TRUST = Trust()
"""chosen with `benchmarks/adaptation.py`"""


@dataclass(frozen=True)
class Shift:
    """Shift of the log-probabilities for one speaker, recording or corpus.

    Args:
        clips: that it was found from.
        mean: of the centred log-probabilities, one a class; it is what is taken away at a strength of 1.
        strength: from 0, where the clips seem to be in one mood or are one clip, to 1.
    """

    clips: int
    mean: tuple[float, ...]
    strength: float


def shift_of(probabilities: ArrayLike, *, trust: Trust = TRUST) -> Shift:
    """Shift for clips that belong together.

    Args:
        probabilities: the model's answers, shape (clips, classes), at least one row; their order changes nothing.
        trust: in what is found.

    >>> one_mood = [[0.9, 0.1]] * 20
    >>> shift_of(one_mood).strength
    0.0
    >>> several = [[0.98, 0.02]] * 10 + [[0.2, 0.8]] * 10
    >>> round(shift_of(several).strength, 2)
    0.45
    """
    answers = np.asarray(probabilities, dtype=np.float64)
    answers = answers[np.lexsort(answers.T)]  # sums depend on their order in the last digits
    logits = np.log(np.maximum(answers, SMALLEST))
    mean = (logits - logits.mean(axis=1, keepdims=True)).mean(axis=0)
    clips, classes = answers.shape
    strength = 0.0
    if clips > 1 and classes > 1:
        strength = _weight(clips) * trust(answers, mean)
    return Shift(clips, tuple(mean.tolist()), strength)


def corpus_shift_of(probabilities: ArrayLike, own: Sequence[Shift], *, trust: Trust = TRUST) -> Shift:
    """Shift for all clips of a collection, trusted as far as its speakers seem to show several emotions.

    Speakers in one and the same mood look together like one who shows several, by what the model makes of each voice.

    Args:
        probabilities: answers to all clips, shape (clips, classes).
        own: shifts of the speakers or recordings that they are of.
        trust: in what is found.
    """
    whole = shift_of(probabilities, trust=trust)
    trusts = [shift.strength / _weight(shift.clips) for shift in own]
    share = float(np.average(trusts, weights=[shift.clips for shift in own]))
    return dataclasses.replace(whole, strength=whole.strength * min(share / WHOLE_CORPUS, 1.0))


def offsets_of(own: Shift | None, corpus: Shift | None) -> NDArray[np.float64] | None:
    """Offsets of the log-probabilities, shape (classes,): the own shift, and the corpus's where that is not trusted.

    Args:
        own: of the speaker or recording; None if unknown.
        corpus: of all clips; None for a single speaker or recording.

    Returns:
        None where nothing moves.
    """
    share = 0.0 if own is None else own.strength
    rest = 0.0 if corpus is None else (1 - share) * corpus.strength
    parts = [(share, own), (rest, corpus)]
    moved = [part * np.array(shift.mean, dtype=np.float64) for part, shift in parts if shift is not None and part > 0]
    return -np.stack(moved).sum(axis=0) if moved else None


def _weight(clips: int) -> float:
    """Weight of the mean of so many clips."""
    return clips / (clips + FEW_CLIPS)


def _ramp(value: float, ends: tuple[float, float]) -> float:
    low, high = ends
    return min(max((value - low) / (high - low), 0.0), 1.0)


def _entropy(probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    """Entropy in nats over the last axis."""
    return np.asarray(-(probabilities * np.log(np.maximum(probabilities, SMALLEST))).sum(axis=-1))


def _information(probabilities: NDArray[np.float64]) -> float:
    """Mutual information of clip and answer: entropy of the mean answer less the mean entropy of the answers."""
    return float(_entropy(probabilities.mean(axis=0))) - float(_entropy(probabilities).mean())
