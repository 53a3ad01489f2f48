"""For whom a model works: differences between groups of speakers, and between speakers, beside what chance gives.

Groups are compared over the classes that both have. Intervals come from the bootstrap over speakers; how far apart
speakers would lie by chance alone comes from shuffling which clips of a class are right.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emotune.evaluation.bootstrap import ClusterBootstrap, Estimate, recoded
from emotune.evaluation.groups import AGE, GENDER, LANGUAGE, SPEAKER, UNKNOWN, groups_of
from emotune.evaluation.pairs import Pairs
from emotune.evaluation.speaker_spread import SpeakerSpread, spread_of
from emotune.metrics.classes import confusion_matrices, recalls_of, supports_of
from emotune.metrics.division import FloatArray, IntArray, ratio

COMPARED = (GENDER, AGE, LANGUAGE)


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
class Comparison:
    """Two groups of utterances; ``difference`` is the UAR of the first less that of the second."""

    by: str
    first: Side
    second: Side
    difference: Estimate
    classes: tuple[ClassGap, ...]

    @property
    def speakers(self) -> int:
        """How many speakers the smaller group has."""
        return min(self.first.speakers, self.second.speakers)


@dataclass(frozen=True)
class Fairness:
    """What the figures say of groups and of single speakers.

    Args:
        comparisons: women with men; each age and each language with all the others.
        unknown: property -> how many scored utterances have none, and so are in no comparison.
        worst: by what, name and UAR of the group that fares worst; None where no group is known.
        spread: between speakers; None where there are fewer than two known ones.
    """

    comparisons: tuple[Comparison, ...]
    unknown: dict[str, int]
    worst: tuple[str, str, Estimate] | None
    spread: SpeakerSpread | None

    def compared_by(self, by: str) -> tuple[Comparison, ...]:
        return tuple(comparison for comparison in self.comparisons if comparison.by == by)

    def to_json(self) -> dict[str, object]:
        """Plain lists, dictionaries and numbers; NaN stays NaN here."""
        return {
            "comparisons": [_comparison_json(item) for item in self.comparisons],
            "unknown": dict(self.unknown),
            "worst_group": None
            if self.worst is None
            else {"by": self.worst[0], "name": self.worst[1], "uar": self.worst[2].to_json()},
            "speakers": None if self.spread is None else self.spread.to_json(),
        }


def fairness_of(pairs: Pairs, *, resamples: int, seed: int) -> Fairness | None:
    """Compare the groups and the speakers of scored utterances; None where no classes are scored."""
    kept = pairs.take(np.flatnonzero(pairs.has_class)) if pairs.classes else pairs
    if not pairs.classes or not len(kept):
        return None
    grouped: dict[str, list[tuple[str, IntArray]]] = {by: [] for by in (*COMPARED, SPEAKER)}
    for by, name, rows in groups_of(kept):
        if by in grouped and (by == SPEAKER or name not in (UNKNOWN, "other")):
            grouped[by].append((name, rows))
    comparisons = [
        _compared(kept, by, first, second, resamples=resamples, seed=seed)
        for by in COMPARED
        for first, second in _opposites(grouped[by])
    ]
    known = {by: sum(len(rows) for _, rows in grouped[by]) for by in (GENDER, AGE)}
    return Fairness(
        tuple(item for item in comparisons if item.classes),
        {by: len(kept) - count for by, count in known.items() if count < len(kept)},
        _worst(kept, [(by, name, rows) for by in COMPARED for name, rows in grouped[by]], resamples, seed),
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
) -> Comparison:
    bootstrap = ClusterBootstrap(_matrices(pairs, (first[1], second[1])), resamples=resamples, seed=seed)
    common = np.flatnonzero((supports_of(bootstrap.total) > 0).all(axis=0))

    def uars(sums: FloatArray) -> FloatArray:
        """UAR of each group over the common classes, shape (..., 2); NaN where a resample lacks one of them."""
        recalls = recalls_of(sums)[..., common]
        return recalls.mean(axis=-1) if len(common) else np.full(recalls.shape[:-1], np.nan)

    def gap(shares: FloatArray) -> FloatArray:
        return shares[..., 0, :] - shares[..., 1, :]

    values = bootstrap.estimates(uars)
    recalls, said, true = (of(bootstrap.total) for of in (recalls_of, _said_of, _true_of))
    recall_gaps = bootstrap.estimates(lambda sums: gap(recalls_of(sums)))
    said_gaps = bootstrap.estimates(lambda sums: gap(_said_of(sums)))
    return Comparison(
        by,
        _side(pairs, first, values[0]),
        _side(pairs, second, values[1]),
        bootstrap.estimate(lambda sums: uars(sums)[..., 0] - uars(sums)[..., 1]),
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
    pairs: Pairs, groups: Sequence[tuple[str, str, IntArray]], resamples: int, seed: int
) -> tuple[str, str, Estimate] | None:
    """The group with the lowest UAR among those that have every class."""
    everyone = set(pairs.truth.tolist())
    found = []
    for by, name, rows in groups:
        if set(pairs.truth[rows].tolist()) == everyone:
            bootstrap = ClusterBootstrap(_matrices(pairs, (rows,)), resamples=resamples, seed=seed)
            present = sorted(everyone)
            score = bootstrap.estimate(lambda sums, at=present: recalls_of(sums[..., 0, :, :])[..., at].mean(axis=-1))
            found.append((by, name, score))
    return min(found, key=lambda item: item[2].value, default=None)


def _two(values: NDArray) -> tuple[float, float]:
    return float(values[0]), float(values[1])


def _comparison_json(comparison: Comparison) -> dict[str, object]:
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
