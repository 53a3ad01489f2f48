"""Fusion of systems on disk: runs, folds of a protocol, or folders of tables."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from emotune.errors import ConfigError, TableError
from emotune.fusion.answers import known, stack_answers, truth_of
from emotune.fusion.fuse import Fusion, check_method, fuse_tables
from emotune.fusion.objective import CCC, Objective
from emotune.fusion.same_labels import same_labelled
from emotune.schema.labels import LabelSpace
from emotune.schema.manifest import Manifest
from emotune.schema.predictions import Predictions, predictions_of
from emotune.schema.run_folder import RunFolder
from emotune.schema.splits import DEVELOPMENT

POOLED = "all"
"""The name of what the folds of a protocol test together."""


@dataclass(frozen=True, eq=False)
class FusedSplit:
    """A fusion applied to a split.

    Args:
        split: its name; ``all`` for what several folds test together.
        truth: its utterances; None where there is no manifest of them, as for a test set without labels.
        predictions: of the fusion.
        singles: system -> its own predictions of the same utterances.
        best_single: predictions of the system that was best on the part of development that the fusion was fitted on,
            in each fold its own.
        folds: name -> what was fitted; one entry, of an empty name, where there are no folds.
        notes: what should be known of how it came about.
    """

    split: str
    truth: Manifest | None
    predictions: Predictions
    singles: Mapping[str, Predictions]
    best_single: Predictions
    folds: Mapping[str, Fusion]
    notes: tuple[str, ...]

    def scores(self) -> dict[str, float]:
        """The metric's value for the fusion, the best single system and each system.

        Utterances that one of them failed on are left out for all, so that all are scored on the same ones. NaN for
        systems without any answer and, where that leaves no utterance, for all but the fusion. Empty without truth, or
        an answer of the fusion.
        """
        metric, space = next(iter(self.folds.values())).metric, self.predictions.label_space
        if self.truth is None or (space.classes and not self.truth.label_space.classes):
            return {}
        there = known(truth_of(self.truth, space))
        labelled = [u for u, has in zip(self.truth, there, strict=True) if has]
        tables = {"fused": self.predictions, "best single": self.best_single, **self.singles}
        answers = stack_answers(tables, space, [utterance.utterance_id for utterance in labelled])
        answered = answers.answered
        if not answered[0].any():
            return {}
        scored = np.asarray(answered.any(axis=1))
        if not answered[scored].all(axis=0).any():
            scored = np.eye(1, len(tables), dtype=bool)[0]
        whole = np.asarray(answered[scored].all(axis=0))
        kept = self.truth.replace_utterances([u for u, has in zip(labelled, whole, strict=True) if has])
        objective = Objective(truth_of(kept, space), metric, len(space.classes) or len(space.dimensions))
        return {
            name: objective.score(own[whole]) if there else float("nan")
            for name, own, there in zip(tables, answers.values, scored.tolist(), strict=True)
        }

    @property
    def scored_on(self) -> str:
        """The split in words, with what its figures are worth."""
        if self.split != DEVELOPMENT:
            return "what the folds test, pooled" if self.split == POOLED else self.split
        half = "was fitted on, so that this is optimistic"
        if not next(iter(self.folds.values())).fits:
            half = "chose the best single system, so that this flatters that one"
        return f"all of development, half of which {half}"

    def to_json(self) -> dict[str, Any]:
        """Plain data for a JSON file."""
        return {
            "split": self.split,
            "utterances": len(self.predictions),
            "failed": len(self.predictions.failed),
            "scores": self.scores(),
            "folds": {name: fitted.to_json() for name, fitted in self.folds.items()},
            "notes": list(self.notes),
        }


@dataclass(frozen=True, eq=False)
class FusionOfRuns:
    """A fusion of runs that is fitted on development, in each fold on its own, and ready for any split.

    Args:
        names: of the systems.
        runs: fold -> the systems' run folders; one entry, of an empty name, where there are no folds.
        fitted: fold -> the fusion.
        metric: what it was fitted for.
        manifest_path: of the truth; the runs' own when None.
    """

    names: tuple[str, ...]
    runs: Mapping[str, Sequence[RunFolder]]
    fitted: Mapping[str, Fusion]
    metric: str
    manifest_path: Path | None

    def apply(self, split: str) -> FusedSplit:
        """Fuses a split; that of several folds is pooled, as ``all``.

        Utterances without a label that not every system predicted, as those do that learn from more, are left out; a
        split without any labels is fused whole.

        Raises:
            ConfigError: when the runs' labels of it differ, or folds have no truth to be pooled by.
            TableError: when predictions are missing.
        """
        parts = {fold: self._apply_fold(fold, split) for fold in self.runs}
        if len(parts) > 1 and any(part.truth is None for part in parts.values()):
            raise ConfigError(f"The folds' manifests have no split {split}, so their tests cannot be pooled.")
        fused = _together(parts)
        return dataclasses.replace(fused, notes=(*fused.notes, *_failed_notes(fused, split)))

    def _apply_fold(self, fold: str, split: str) -> FusedSplit:
        runs, fitted = self.runs[fold], self.fitted[fold]
        manifests = _of_split(runs, split, self.manifest_path)
        tables = [predictions_of(run, split) for run in runs]
        labelled = _same(runs, manifests, split, self.metric)
        truth, notes = manifests[0], fitted.notes
        if len(labelled):
            kept = {utterance.utterance_id for utterance in labelled}
            kept |= set.intersection(*({row.utterance_id for row in table} for table in tables))
            truth = truth.filter(lambda utterance: utterance.utterance_id in kept)
            left = {u.utterance_id for manifest in manifests for u in manifest} - {u.utterance_id for u in truth}
            if left:
                notes += (f"Left out: {len(left)} utterances of {split} without a label, which not all systems have.",)
        if len(truth):
            wanted = {utterance.utterance_id for utterance in truth}
            tables = [only(table, wanted) for table in tables]
        singles = {name: of_task(table, fitted.space) for name, table in zip(self.names, tables, strict=True)}
        return FusedSplit(
            split,
            truth if len(truth) else None,
            fitted.apply(tables),
            singles,
            singles[fitted.best_single],
            {"": fitted},
            notes,
        )


def fit_runs(
    named: Sequence[tuple[str, Path]],
    *,
    method: str = "weights",
    metric: str = "macro_f1",
    seed: int = 0,
    manifest_path: Path | None = None,
) -> FusionOfRuns:
    """Fits a fusion to the runs' development predictions, under a protocol of several folds each fold by itself.

    Args:
        named: name and path of each system: a run folder, the folder of a protocol, or, with ``manifest_path``, any
            folder with ``development/predictions.csv`` and ``<split>/predictions.csv``.
        method: weights, stacking or majority.
        metric: macro_f1, uar, accuracy or ccc.
        seed: of the parting of development and of the search.
        manifest_path: of the truth; the runs' own when None.

    Raises:
        ConfigError: for runs that do not belong together.
        TableError: when predictions are missing.
        CorpusError: when development has no truth.
    """
    check_method(method, metric)
    names = tuple(name for name, _ in named)
    if len(named) < 2:
        raise ConfigError(f"A fusion needs two systems at least, got {', '.join(names) or 'none'}.")
    folders = [_folds(path) if manifest_path is None else {"": RunFolder(path)} for _, path in named]
    folds = list(folders[0])
    for name, own in zip(names, folders, strict=True):
        if list(own) != folds:
            raise ConfigError(
                f"{names[0]} and {name} are not of one protocol: they have {_folds_named(folds)} and"
                f" {_folds_named(list(own))}."
            )
    runs = {fold: [own[fold] for own in folders] for fold in folds}
    fitted = {}
    for fold, of_fold in runs.items():
        manifests = _of_split(of_fold, DEVELOPMENT, manifest_path)
        fitted[fold] = fuse_tables(
            names,
            _same(of_fold, manifests, DEVELOPMENT, metric),
            [predictions_of(run, DEVELOPMENT) for run in of_fold],
            method=method,
            metric=metric,
            seed=seed,
        )
    return FusionOfRuns(names, runs, fitted, metric, manifest_path)


def fuse(
    named: Sequence[tuple[str, Path]],
    *,
    split: str = "test",
    method: str = "weights",
    metric: str = "macro_f1",
    seed: int = 0,
    manifest_path: Path | None = None,
) -> FusedSplit:
    """Fits a fusion to the runs' development predictions and applies it to a split.

    ``emotune.report.fuse_runs`` writes its table and page, too.

    Args:
        named: as ``fit_runs`` has it.
        split: what is fused.
        method: weights, stacking or majority.
        metric: macro_f1, uar, accuracy or ccc.
        seed: of the parting of development and of the search.
        manifest_path: of the truth; the runs' own when None.

    Raises:
        EmotuneError: as ``fit_runs`` and ``FusionOfRuns.apply`` do.
    """
    fitted = fit_runs(named, method=method, metric=metric, seed=seed, manifest_path=manifest_path)
    return fitted.apply(split)


def _folds(path: Path) -> dict[str, RunFolder]:
    """The folds of a protocol's folder in their order, or a run by itself under an empty name."""
    run = RunFolder(path)
    run.information()
    if run.model.exists() or run.results(DEVELOPMENT).exists():
        return {"": run}
    inner = {folder.name: RunFolder(folder) for folder in path.iterdir() if RunFolder(folder).provenance.exists()}
    if not inner:
        raise TableError(f"{path} has no development predictions: the run has not ended. Run its command again.")
    number = {name: [int(digits) for digits in re.findall(r"\d+", name)] for name in inner}
    return {name: inner[name] for name in sorted(inner, key=lambda name: (number[name], name))}


def _folds_named(folds: Sequence[str]) -> str:
    return "no folds" if list(folds) == [""] else f"{len(folds)} folds ({', '.join(folds[:3])} ...)"


def _of_split(runs: Sequence[RunFolder], split: str, manifest_path: Path | None) -> list[Manifest]:
    """Manifests of a split, one a run; empty if a run has no such split (for development, an error)."""
    paths = [run.manifest for run in runs] if manifest_path is None else [manifest_path]
    found = [_part(Manifest.read(path), split) for path in paths]
    return found if manifest_path is None else found * len(runs)


def _part(manifest: Manifest, split: str) -> Manifest:
    if split == DEVELOPMENT:
        return manifest.split(split)
    return manifest.filter(lambda utterance: utterance.split == split)


def _same(runs: Sequence[RunFolder], manifests: Sequence[Manifest], split: str, metric: str) -> Manifest:
    return same_labelled(
        [(str(run.path), manifest) for run, manifest in zip(runs, manifests, strict=True)],
        classes=metric != CCC,
        dimensions=metric == CCC,
        where=split,
        cure="Fuse runs of one corpus with the same splits and classes.",
    )


def only(table: Predictions, wanted: set[str]) -> Predictions:
    """The rows of some utterances."""
    rows = tuple(row for row in table if row.utterance_id in wanted)
    return Predictions(rows, table.label_space, table.model_fingerprint, table.manifest_fingerprint)


def of_task(table: Predictions, space: LabelSpace) -> Predictions:
    """A table with the classes, or the dimensions, that are fused alone."""
    rows = tuple(
        type(row)(
            row.utterance_id,
            {name: row.probabilities[name] for name in space.classes if row.probabilities},
            {name: row.dimensions[name] for name in space.dimensions if row.dimensions},
            row.conditions_used,
            row.error,
            warning=row.warning,
        )
        for row in table
    )
    return Predictions(rows, space, table.model_fingerprint, table.manifest_fingerprint)


def _failed_notes(fused: FusedSplit, split: str) -> list[str]:
    """Notes on systems that failed on utterances which the fusion answers without them."""
    answered = {row.utterance_id for row in fused.predictions if row.error is None}
    failed = {name: answered & {row.utterance_id for row in table.failed} for name, table in fused.singles.items()}
    notes = [
        f"{name} failed on {len(ids)} of {len(fused.predictions)} {split} utterances; the others voted."
        for name, ids in failed.items()
        if ids
    ]
    some = {name: ids for name, ids in failed.items() if 0 < len(ids) < len(answered)}
    left = set().union(*some.values())
    if left and fused.truth is not None:
        notes.append(
            f"No {split} utterance was answered by every system, so that only the fusion has a figure."
            if len(left) == len(answered)
            else f"Figures of {split} leave out the {len(left)} utterances that {' or '.join(some)} failed on."
        )
    return notes


def _together(parts: Mapping[str, FusedSplit]) -> FusedSplit:
    """Results of all folds, pooled."""
    if list(parts) == [""]:
        return parts[""]
    each = list(parts.values())
    fitted = {name: part.folds[""] for name, part in parts.items()}
    notes = tuple(dict.fromkeys(note for part in each for note in part.notes))
    truths = [part.truth for part in each if part.truth is not None]
    truth = None
    if truths:
        truth = truths[0].replace_utterances([utterance for manifest in truths for utterance in manifest])
    single = len(each) == 1
    return FusedSplit(
        each[0].split if single else POOLED,
        truth,
        _pooled([part.predictions for part in each], truth),
        {name: _pooled([part.singles[name] for part in each], truth) for name in each[0].singles},
        _pooled([part.best_single for part in each], truth),
        fitted,
        notes,
    )


def _pooled(tables: Sequence[Predictions], truth: Manifest | None) -> Predictions:
    rows = tuple(row for table in tables for row in table)
    twice = len(rows) - len({row.utterance_id for row in rows})
    if twice:
        raise ConfigError(f"{twice} utterances are tested by several folds; each must be tested once to be pooled.")
    fingerprint = tables[0].manifest_fingerprint if truth is None or len(tables) == 1 else truth.fingerprint()
    return Predictions(rows, tables[0].label_space, None, fingerprint)
