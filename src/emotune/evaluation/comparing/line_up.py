"""Predictions of several systems for the same utterances, as sums over speakers that any metric can use."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emotune.errors import ConfigError, CorpusError, ModelError, TableError
from emotune.evaluation.pairs import NO_TRUTH, NotScored, Pairs, pair, speakers_of
from emotune.evaluation.statistics.bootstrap import cluster_codes
from emotune.metrics.classes import confusion_matrices
from emotune.metrics.dimensions import grouped_moments
from emotune.metrics.division import FloatArray, IntArray
from emotune.schema.labels import LabelSpace
from emotune.schema.manifest import Manifest
from emotune.schema.predictions import Predictions
from emotune.schema.utterance import Utterance


@dataclass(frozen=True)
class System:
    """System under comparison: the predictions of one model, or of several that differ in seed alone."""

    name: str
    runs: tuple[Predictions, ...]


@dataclass(frozen=True)
class Lineup:
    """Truth and all runs of all systems, row by row.

    Args:
        names: of the systems.
        columns: which runs belong to each system.
        classes: in the order of the first system; empty when classes are not compared.
        dimensions: the names of those that all systems and the manifest have.
        utterances: those that have a truth, of length rows.
        speakers: of each row, None where unknown.
        truth: class index, -1 where the manifest has none, shape (rows,).
        answers: class index, the number of classes where there is no answer, shape (runs, rows).
        dimension_truth: NaN where the manifest has none, shape (dimensions, rows).
        dimension_answers: on the scale of the annotation, shape (dimensions, runs, rows).
        answered: whether every run has a usable prediction, shape (rows,).
        left_out: what cannot be compared, with reasons.
        notes: what a reader should know.
    """

    names: tuple[str, ...]
    columns: tuple[range, ...]
    classes: tuple[str, ...]
    dimensions: tuple[str, ...]
    utterances: tuple[Utterance, ...]
    speakers: tuple[str | None, ...]
    truth: IntArray
    answers: IntArray
    dimension_truth: FloatArray
    dimension_answers: FloatArray
    answered: NDArray[np.bool_]
    left_out: tuple[NotScored, ...]
    notes: tuple[str, ...]

    def confusions(self, *, without_answer: bool = False) -> IntArray:
        """Confusion matrices, shape (clusters, runs, classes, classes + 1), the last column for no answer.

        Args:
            without_answer: take the rows too that some run has no answer to, which is wrong whatever the truth.
        """
        kept = np.flatnonzero((self.truth >= 0) & (self.answered | without_answer))
        groups, clusters, runs = self._groups(kept)
        size = len(self.classes) + 1
        counts = confusion_matrices(
            np.tile(self.truth[kept], runs),
            self.answers[:, kept].ravel(),
            classes=size,
            groups=groups,
            group_count=clusters * runs,
        )
        return counts.reshape(clusters, runs, size, size)[..., :-1, :]

    def moments(self) -> FloatArray:
        """Moments of the dimensions, shape (clusters, runs, dimensions, 8), which may be added over runs as well."""
        has_truth = np.isfinite(self.dimension_truth)
        kept = np.flatnonzero(has_truth.any(axis=0) & self.answered)
        groups, clusters, runs = self._groups(kept)
        sums = []
        for known, truth, answers in zip(has_truth, self.dimension_truth, self.dimension_answers, strict=True):
            some = np.tile(known[kept], runs)
            sums.append(
                grouped_moments(
                    np.tile(truth[kept], runs)[some],
                    answers[:, kept].ravel()[some],
                    groups=groups[some],
                    group_count=clusters * runs,
                ).reshape(clusters, runs, 8)
            )
        return np.stack(sums, axis=2)

    def _groups(self, kept: IntArray) -> tuple[IntArray, int, int]:
        """Group of each row of each run, run after run; the numbers of clusters and of runs."""
        codes = cluster_codes([self.speakers[row] for row in kept])
        runs = len(self.answers)
        return np.concatenate([codes * runs + run for run in range(runs)]), len(np.unique(codes)), runs


def line_up(manifest: Manifest, systems: Sequence[System], *, least: int = 2) -> Lineup:
    """Joins the truth and the predictions of all systems by utterance_id.

    Raises:
        ConfigError: for fewer than ``least`` systems, or two of one name.
        CorpusError: when class sets differ, or the manifest holds a class that is in none.
        TableError: when an utterance with a truth has no row in one of the systems.
        ModelError: when not one prediction of a system can be used.
    """
    names = tuple(system.name for system in systems)
    if len(names) < least or len(set(names)) < len(names):
        raise ConfigError(f"A comparison needs at least two systems of different names, got: {', '.join(names)}.")
    space = _common_space(manifest, systems)
    runs = [dataclasses.replace(run, label_space=_in(space, run)) for system in systems for run in system.runs]
    owners = [system.name for system in systems for _ in system.runs]
    utterances = tuple(u for u in manifest if (u.emotion and space.classes) or u.dimensions.keys() & space.dimensions)
    for name, run in zip(owners, runs, strict=True):
        _check_ids(utterances, name, run)
    pairs = [_paired(manifest, name, run) for name, run in zip(owners, runs, strict=True)]
    scored = [{utterance.utterance_id: row for row, utterance in enumerate(one.utterances)} for one in pairs]
    ends = np.cumsum([0, *(len(system.runs) for system in systems)])
    dimensions = tuple(pairs[0].dimensions)
    index = {name: position for position, name in enumerate(pairs[0].classes)}
    answers = np.full((len(runs), len(utterances)), len(index), dtype=np.int64)
    values = np.full((len(dimensions), len(runs), len(utterances)), np.nan)
    for run, (one, rows) in enumerate(zip(pairs, scored, strict=True)):
        found = [(row, rows[u.utterance_id]) for row, u in enumerate(utterances) if u.utterance_id in rows]
        here, there = np.array(found, dtype=np.int64).T
        answers[run, here] = one.prediction[there]
        for number, name in enumerate(dimensions):
            values[number, run, here] = one.dimension_prediction[name][there]
    return Lineup(
        names,
        tuple(range(start, end) for start, end in zip(ends[:-1].tolist(), ends[1:].tolist(), strict=True)),
        pairs[0].classes,
        dimensions,
        utterances,
        speakers_of(utterances),
        np.array([index.get(u.emotion or "", -1) for u in utterances], dtype=np.int64),
        answers,
        np.array([[u.dimensions.get(name, np.nan) for name in dimensions] for u in utterances], dtype=float).T,
        values,
        np.array([all(u.utterance_id in rows for rows in scored) for u in utterances]),
        _left_out(owners, pairs),
        tuple(dict.fromkeys(note for one in pairs for note in one.notes)),
    )


def _common_space(manifest: Manifest, systems: Sequence[System]) -> LabelSpace:
    """The classes, which must be the same, and the dimensions that all have."""
    first, *others = [(system.name, run.label_space) for system in systems for run in system.runs]
    for name, space in others:
        if set(space.classes) != set(first[1].classes):
            ours, theirs = (", ".join(classes) or "no classes" for classes in (first[1].classes, space.classes))
            raise CorpusError(
                f"{first[0]} and {name} choose from different classes: {ours}; {theirs}."
                " Compare them on those that they share with --shared-classes."
            )
    dimensions = {
        name: scale
        for name, scale in manifest.label_space.dimensions.items()
        if all(name in space.dimensions for _, space in (first, *others))
    }
    return LabelSpace(first[1].classes, dimensions)


def _in(space: LabelSpace, run: Predictions) -> LabelSpace:
    return LabelSpace(space.classes, {name: run.label_space.dimensions[name] for name in space.dimensions})


def _check_ids(utterances: Sequence[Utterance], name: str, run: Predictions) -> None:
    known = {row.utterance_id for row in run}
    missing = [u.utterance_id for u in utterances if u.utterance_id not in known]
    if missing:
        named = ", ".join(f"'{key}'" for key in missing[:5])
        raise TableError(
            f"{name} has no prediction of {len(missing)} of {len(utterances)} utterances with a truth:"
            f" {named}{', ...' if len(missing) > 5 else ''}. Systems are compared on the same utterances: predict the"
            " whole split with each, or name the --split that all have predicted."
        )


def _paired(manifest: Manifest, name: str, run: Predictions) -> Pairs:
    try:
        return pair(manifest, run)
    except ModelError as error:
        raise ModelError(f"{name}: {error}") from error


def _left_out(owners: Sequence[str], pairs: Sequence[Pairs]) -> tuple[NotScored, ...]:
    found = [item for item in pairs[0].not_scored if item.reason == NO_TRUTH]
    for name, one in zip(owners, pairs, strict=True):
        found += [
            dataclasses.replace(item, reason=f"{name}: {item.reason}")
            for item in one.not_scored
            if item.reason != NO_TRUTH
        ]
    return tuple(found)
