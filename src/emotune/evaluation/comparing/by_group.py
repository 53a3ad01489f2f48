"""Gains by group: differences of two systems by class, dimension and gender, on the same speakers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from emotune.evaluation.comparing.compare import Measure, measures_of, score_of_systems
from emotune.evaluation.comparing.line_up import Lineup, System, line_up
from emotune.evaluation.evaluate import CLASS_MEASURES
from emotune.evaluation.statistics.bootstrap import ClusterBootstrap, Estimate
from emotune.metrics.classes import recalls_of
from emotune.metrics.dimensions import ccc_of
from emotune.metrics.division import FloatArray
from emotune.schema.manifest import Manifest
from emotune.schema.utterance import GENDERS


@dataclass(frozen=True)
class GroupGain:
    """Gain of a system over its baseline on one class, dimension or gender.

    Args:
        by: ``class`` (recall), ``dimension`` (CCC) or ``gender``.
        name: of the class, dimension or gender.
        metric: what is taken of that part.
        system: whose score the baseline's is taken from.
        baseline: the other one.
        utterances: how many the part has.
        estimate: the difference and its interval.
    """

    by: str
    name: str
    metric: str
    system: str
    baseline: str
    utterances: int
    estimate: Estimate

    @property
    def is_sure(self) -> bool:
        """Tells whether the interval excludes zero; among many parts some do by chance."""
        return self.estimate.has_interval and (self.estimate.low > 0 or self.estimate.high < 0)

    def to_json(self) -> dict[str, object]:
        """Plain data for a JSON file."""
        return {**vars(self), "estimate": self.estimate.to_json()}


def gains_by_group(
    manifest: Manifest,
    systems: Sequence[System],
    pairs: Sequence[tuple[str, str]],
    *,
    metric: str = "uar",
    resamples: int = 2000,
    seed: int = 0,
) -> tuple[GroupGain, ...]:
    """Differences of each pair by class (or dimension) and by gender, with intervals over speakers, uncorrected.

    Args:
        manifest: the truth.
        systems: as ``compare`` takes them.
        pairs: (baseline, system) by name.
        metric: where it is of dimensions, such as ``ccc``, the parts are dimensions, and genders are scored by mean
            CCC; else the parts are classes, and genders are scored by UAR.
        resamples: of the bootstrap.
        seed: of the bootstrap.

    Raises:
        EmotuneError: as ``line_up`` does.
    """
    of_classes = metric in CLASS_MEASURES
    found = _parts(line_up(manifest, systems, least=1), pairs, of_classes, resamples=resamples, seed=seed)
    for gender in GENDERS:
        part = manifest.filter(lambda utterance, gender=gender: utterance.gender == gender)
        if any(utterance.emotion if of_classes else utterance.dimensions for utterance in part):
            lineup = line_up(part, systems, least=1)
            found += _gender(gender, lineup, pairs, of_classes, resamples=resamples, seed=seed)
    order = {pair: number for number, pair in enumerate(pairs)}
    return tuple(sorted(found, key=lambda item: order[item.baseline, item.system]))


def _parts(
    lineup: Lineup, pairs: Sequence[tuple[str, str]], of_classes: bool, *, resamples: int, seed: int
) -> list[GroupGain]:
    sums, names, counts = (
        (lineup.confusions(), lineup.classes, _class_counts(lineup))
        if of_classes
        else (lineup.moments(), lineup.dimensions, _dimension_counts(lineup))
    )
    bootstrap = ClusterBootstrap(sums, resamples=resamples, seed=seed)
    by, metric = ("class", "recall") if of_classes else ("dimension", "ccc")
    found = []
    for place, name in enumerate(names):
        measure = partial(_part_of, recalls_of if of_classes else ccc_of, place)
        for pair, estimate in _differences(lineup, pairs, bootstrap, measure):
            found.append(GroupGain(by, name, metric, pair[1], pair[0], counts[place], estimate))
    return found


def _gender(
    gender: str, lineup: Lineup, pairs: Sequence[tuple[str, str]], of_classes: bool, *, resamples: int, seed: int
) -> list[GroupGain]:
    metric = "uar" if of_classes else "ccc"
    sums = lineup.confusions() if of_classes else lineup.moments()
    bootstrap = ClusterBootstrap(sums, resamples=resamples, seed=seed)
    measure = measures_of(lineup, [metric])[metric]
    count = int(lineup.answered.sum())
    return [
        GroupGain("gender", gender, metric, system, baseline, count, estimate)
        for (baseline, system), estimate in _differences(lineup, pairs, bootstrap, measure)
    ]


def _differences(
    lineup: Lineup, pairs: Sequence[tuple[str, str]], bootstrap: ClusterBootstrap, measure: Measure
) -> Iterator[tuple[tuple[str, str], Estimate]]:
    place = {name: number for number, name in enumerate(lineup.names)}
    columns = [(place[system], place[baseline]) for baseline, system in pairs]

    def gaps(sums: FloatArray) -> NDArray:
        scores = score_of_systems(measure, lineup.columns, sums)
        return np.stack([scores[..., system] - scores[..., baseline] for system, baseline in columns], axis=-1)

    if columns:
        yield from zip(pairs, bootstrap.estimates(gaps), strict=True)


def _part_of(measure: Callable[[FloatArray], NDArray], place: int, sums: FloatArray) -> NDArray:
    return measure(sums)[..., place]


def _class_counts(lineup: Lineup) -> list[int]:
    kept = lineup.truth[lineup.answered]
    return [int((kept == place).sum()) for place in range(len(lineup.classes))]


def _dimension_counts(lineup: Lineup) -> list[int]:
    return [int(np.isfinite(values[lineup.answered]).sum()) for values in lineup.dimension_truth]
