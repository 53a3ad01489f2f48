"""Fairness: differences between groups of speakers and between speakers, set against chance.

Groups are compared over the classes that both have, see ``group_differences`` for the intervals; how far apart speakers
would lie by chance alone comes from shuffling which clips of a class are right.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emotune.evaluation.groups import AGE, GENDER, LANGUAGE, SPEAKER, UNKNOWN, groups_of
from emotune.evaluation.pairs import Pairs
from emotune.evaluation.speaker_spread import SpeakerSpread, spread_of
from emotune.evaluation.statistics.bootstrap import UNIT, ClusterBootstrap, Estimate, recoded
from emotune.evaluation.statistics.group_differences import difference_of_groups
from emotune.metrics.classes import confusion_matrices, recalls_of, supports_of
from emotune.metrics.division import FloatArray, IntArray, ratio

COMPARED = (GENDER, AGE, LANGUAGE)
OTHER = "other"


@dataclass(frozen=True)
class Side:
    """One of two groups that are compared; ``uar`` is over the classes that both have."""

    name: str
    utterances: int
    speakers: int
    uar: Estimate


@dataclass(frozen=True)
class ClassGap:
    """A class in both groups, first and second: recall, and how often it is said against how often it is true.

    ``recall_gap`` is equal opportunity's difference (its largest over the classes is that of equalised odds' true
    rates), ``said_gap`` that of demographic parity; both are first less second.

    Reference:
        Hardt, Price & Srebro (2016), Equality of Opportunity in Supervised Learning, arXiv 1610.02413.
    """

    name: str
    recalls: tuple[float, float]
    recall_gap: Estimate
    said: tuple[float, float]
    true: tuple[float, float]
    said_gap: Estimate


@dataclass(frozen=True)
class GroupComparison:
    """Two groups of utterances; ``difference`` is the UAR of the first less that of the second."""

    by: str
    first: Side
    second: Side
    difference: Estimate
    classes: tuple[ClassGap, ...]

    @property
    def speakers(self) -> int:
        """Number of speakers in the smaller group."""
        return min(self.first.speakers, self.second.speakers)


@dataclass(frozen=True)
class Fairness:
    """Fairness of a model over groups and single speakers.

    Args:
        comparisons: women with men; each age and each language with all the others.
        unknown: property -> how many scored utterances have none, and so are in no comparison.
        other_gender: utterances of speakers who are neither women nor men, whom no comparison is of.
        worst: by what, name and UAR of the group that fares worst; None where there are no two groups to tell apart.
        spread: between speakers; None where there are fewer than two known ones.
    """

    comparisons: tuple[GroupComparison, ...]
    unknown: dict[str, int]
    other_gender: int
    worst: tuple[str, str, Estimate] | None
    spread: SpeakerSpread | None

    def compared_by(self, by: str) -> tuple[GroupComparison, ...]:
        """Comparisons by one property."""
        return tuple(comparison for comparison in self.comparisons if comparison.by == by)

    def to_json(self) -> dict[str, object]:
        """Plain lists, dictionaries and numbers; NaN stays NaN here."""
        return {
            "comparisons": [_comparison_json(item) for item in self.comparisons],
            "unknown": dict(self.unknown),
            "other_gender": self.other_gender,
            "worst_group": None
            if self.worst is None
            else {"by": self.worst[0], "name": self.worst[1], "uar": self.worst[2].to_json()},
            "speakers": None if self.spread is None else self.spread.to_json(),
        }


def fairness_of(pairs: Pairs, *, resamples: int, seed: int) -> Fairness | None:
    """Compares the groups and the speakers of scored utterances; None where no classes are scored."""
    kept = pairs.take(np.flatnonzero(pairs.has_class)) if pairs.classes else pairs
    if not pairs.classes or not len(kept):
        return None
    grouped: dict[str, list[tuple[str, IntArray]]] = {by: [] for by in (*COMPARED, SPEAKER)}
    for by, name, rows in groups_of(kept):
        if by in grouped and (by != GENDER or name != UNKNOWN):
            grouped[by].append((name, rows))
    known = {by: sum(len(rows) for _, rows in grouped[by]) for by in (GENDER, AGE)}
    other_gender = sum(len(rows) for name, rows in grouped[GENDER] if name == OTHER)
    grouped[GENDER] = [(name, rows) for name, rows in grouped[GENDER] if name != OTHER]
    comparisons = [
        _compared(kept, by, first, second, resamples=resamples, seed=seed)
        for by in COMPARED
        for first, second in _opposites(grouped[by])
    ]
    return Fairness(
        tuple(item for item in comparisons if item.classes),
        {by: len(kept) - count for by, count in known.items() if count < len(kept)},
        other_gender,
        _worst(kept, {by: grouped[by] for by in COMPARED}, resamples, seed),
        spread_of(kept, grouped[SPEAKER], seed=seed),
    )


def _opposites(groups: Sequence[tuple[str, IntArray]]) -> Iterator[tuple[tuple[str, IntArray], tuple[str, IntArray]]]:
    """The two groups there are; or each of several with all the others."""
    if len(groups) == 2:
        yield groups[0], groups[1]
    elif len(groups) > 2:
        for number, group in enumerate(groups):
            others = [rows for place, (_, rows) in enumerate(groups) if place != number]
            yield group, ("all others", np.sort(np.concatenate(others)))


def _compared(
    pairs: Pairs, by: str, first: tuple[str, IntArray], second: tuple[str, IntArray], *, resamples: int, seed: int
) -> GroupComparison:
    matrices = _matrices(pairs, (first[1], second[1]))
    present = matrices.sum(axis=(-1, -2)) > 0
    total = matrices.sum(axis=0)
    common = np.flatnonzero((supports_of(total) > 0).all(axis=0))

    def uar(sums: FloatArray) -> FloatArray:
        """UAR over the common classes, shape (...); NaN where one of them is missing."""
        recalls = recalls_of(sums)[..., common]
        return recalls.mean(axis=-1) if len(common) else np.full(recalls.shape[:-1], np.nan)

    def gaps(sums: FloatArray) -> FloatArray:
        """First group less second, of UAR, of each class's recall and of its share of the answers."""
        each = np.concatenate([uar(sums)[..., None], recalls_of(sums), _said_of(sums)], axis=-1)
        return each[..., 0, :] - each[..., 1, :]

    sides = [
        ClusterBootstrap(matrices[present[:, n], n], resamples=resamples, seed=seed).estimate(uar, within=UNIT)
        for n in range(2)
    ]
    recalls, said, true = (of(total) for of in (recalls_of, _said_of, _true_of))
    difference, *found = difference_of_groups(matrices, gaps, present=present)
    recall_gaps, said_gaps = found[: len(pairs.classes)], found[len(pairs.classes) :]
    return GroupComparison(
        by,
        _side(pairs, first, sides[0]),
        _side(pairs, second, sides[1]),
        difference,
        tuple(
            ClassGap(
                pairs.classes[n], _two(recalls[:, n]), recall_gaps[n], _two(said[:, n]), _two(true[:, n]), said_gaps[n]
            )
            for n in common
        ),
    )


def _matrices(pairs: Pairs, parts: Sequence[IntArray]) -> NDArray:
    """Confusion matrices of each cluster in each part, shape (clusters, parts, classes, classes)."""
    rows = np.unique(np.concatenate(parts))
    codes, count = recoded(pairs.clusters[rows])
    cluster = dict(zip(rows.tolist(), codes.tolist(), strict=True))
    each = [
        confusion_matrices(
            pairs.truth[part],
            pairs.prediction[part],
            classes=len(pairs.classes),
            groups=np.array([cluster[row] for row in part.tolist()], dtype=np.int64),
            group_count=count,
        )
        for part in parts
    ]
    return np.stack(each, axis=1)


def _said_of(confusion: NDArray) -> FloatArray:
    """Share of answers that are each class, shape (..., classes)."""
    return ratio(confusion.sum(axis=-2), confusion.sum(axis=(-1, -2))[..., None])


def _true_of(confusion: NDArray) -> FloatArray:
    """Share of truths that are each class, shape (..., classes)."""
    return ratio(supports_of(confusion), confusion.sum(axis=(-1, -2))[..., None])


def _side(pairs: Pairs, group: tuple[str, IntArray], uar: Estimate) -> Side:
    name, rows = group
    return Side(name, len(rows), len({pairs.speakers[row] for row in rows} - {None}), uar)


def _worst(
    pairs: Pairs, grouped: Mapping[str, Sequence[tuple[str, IntArray]]], resamples: int, seed: int
) -> tuple[str, str, Estimate] | None:
    """The group with the lowest UAR among those that have every class, where another of its kind does better."""
    everyone = set(pairs.truth.tolist())
    present = sorted(everyone)
    candidates = []
    for by, groups in grouped.items():
        found = []
        for name, rows in groups:
            if set(pairs.truth[rows].tolist()) == everyone:
                bootstrap = ClusterBootstrap(_matrices(pairs, (rows,)), resamples=resamples, seed=seed)
                score = bootstrap.estimate(
                    lambda sums: recalls_of(sums[..., 0, :, :])[..., present].mean(axis=-1), within=UNIT
                )
                found.append((by, name, score))
        worst = min(found, key=lambda item: item[2].value, default=None)
        if worst is not None and any(item[2].value > worst[2].value for item in found):
            candidates.append(worst)
    return min(candidates, key=lambda item: item[2].value, default=None)


def _two(values: NDArray) -> tuple[float, float]:
    return float(values[0]), float(values[1])


def _comparison_json(comparison: GroupComparison) -> dict[str, object]:
    gaps = [abs(item.recall_gap.value) for item in comparison.classes if math.isfinite(item.recall_gap.value)]
    return {
        "by": comparison.by,
        **{
            key: {
                "name": side.name,
                "utterances": side.utterances,
                "speakers": side.speakers,
                "uar": side.uar.to_json(),
            }
            for key, side in (("first", comparison.first), ("second", comparison.second))
        },
        "uar_difference": comparison.difference.to_json(),
        "largest_recall_gap": max(gaps, default=math.nan),
        "classes": {
            item.name: {
                "recall": list(item.recalls),
                "recall_gap": item.recall_gap.to_json(),
                "share_said": list(item.said),
                "share_true": list(item.true),
                "share_said_gap": item.said_gap.to_json(),
            }
            for item in comparison.classes
        },
    }
