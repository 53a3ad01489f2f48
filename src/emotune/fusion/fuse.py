"""Fusion of several systems: fitted on one part of development, reported on the other."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from emotune.errors import ConfigError, CorpusError, TableError
from emotune.evaluation.notes import FEW_SPEAKERS
from emotune.fusion import majority, meta_classifier, stacking, weights
from emotune.fusion.answers import Answers, known, stack_answers, task_space, truth_of
from emotune.fusion.development_parts import in_two
from emotune.fusion.objective import CCC, Objective, check_metric
from emotune.metrics.division import FloatArray
from emotune.registry import unknown_name_message
from emotune.schema.labels import LabelSpace
from emotune.schema.manifest import Manifest
from emotune.schema.predictions import Prediction, Predictions

_SHOWN = 5


class Combiner(Protocol):
    """Fitted fusion method."""

    @property
    def needs_all(self) -> bool:
        """Tells whether an utterance needs the answers of all systems."""
        ...

    def combine(self, values: FloatArray) -> FloatArray:
        """Combines answers, shape (systems, utterances, outputs) -> (utterances, outputs)."""
        ...

    def to_json(self) -> dict[str, Any]:
        """Plain data for a JSON file."""
        ...


METHODS: Mapping[str, Callable[..., Combiner]] = {
    "weights": weights.fit,
    "stacking": stacking.fit,
    "meta": meta_classifier.fit,
    "majority": majority.fit,
}
"""f(values of shape (systems, utterances, outputs), objective, *, seed, speakers) -> Combiner."""


@dataclass(frozen=True)
class DevelopmentPart:
    """One part of development.

    Args:
        utterances: how many are scored, answered by all systems.
        speakers: how many different ones are known.
        singles: system -> its figure.
        fused: the figure of the fusion.
    """

    utterances: int
    speakers: int
    singles: Mapping[str, float]
    fused: float

    def to_json(self) -> dict[str, Any]:
        """Plain data for a JSON file."""
        return {
            "utterances": self.utterances,
            "speakers": self.speakers,
            "singles": dict(self.singles),
            "fused": self.fused,
        }


@dataclass(frozen=True, eq=False)
class Fusion:
    """A fusion that is ready for other predictions of the same systems.

    Args:
        names: of the systems, in the order in which tables are given.
        space: the classes or the dimensions that are fused.
        method: of ``METHODS``.
        metric: what it was fitted for.
        combiner: what was fitted.
        fitted_on: the part that it was fitted on.
        reported_on: the part that it did not see.
        best_single: the system with the best figure on the part for fitting.
        left_out: system -> the figure on the part for reporting of a fusion of all others, fitted anew.
        notes: what should be known of the parts.
    """

    names: tuple[str, ...]
    space: LabelSpace
    method: str
    metric: str
    seed: int
    combiner: Combiner
    fitted_on: DevelopmentPart
    reported_on: DevelopmentPart
    best_single: str
    left_out: Mapping[str, float]
    notes: tuple[str, ...]

    @property
    def weights(self) -> dict[str, float] | None:
        """System -> weight; None for the other methods."""
        if not isinstance(self.combiner, weights.Weighted):
            return None
        return dict(zip(self.names, self.combiner.weights.tolist(), strict=True))

    @property
    def fits(self) -> bool:
        """Tells whether the method learns from development; the majority vote does not."""
        return not isinstance(self.combiner, majority.Majority)

    @property
    def gain(self) -> float:
        """Gain of the fusion over the best single system on the part that neither was chosen on."""
        return self.reported_on.fused - self.reported_on.singles[self.best_single]

    def apply(self, tables: Sequence[Predictions]) -> Predictions:
        """The fused predictions of other utterances, in the order of the first table.

        An utterance that a system failed on gets an error that names the system, since weights and coefficients only
        fit all answers together; the majority vote goes on without it as long as one system answers.

        Args:
            tables: one a system, in the order of ``names``, of the same utterances.

        Raises:
            TableError: for other classes or utterances.
        """
        named = _named(self.names, tables)
        space = task_space(named, of_classes=bool(self.space.classes))
        if sorted(space.classes) != sorted(self.space.classes) or space.dimensions != self.space.dimensions:
            raise TableError(
                "These tables predict other classes or dimensions than those that the fusion was fitted on."
            )
        ids = [row.utterance_id for row in tables[0]]
        for name, table in named.items():
            more = sorted({row.utterance_id for row in table}.difference(ids))
            if more:
                raise TableError(
                    f"{name} has rows that {self.names[0]} has not, such as {more[0]}. Predict the same utterances with"
                    " every system."
                )
        answers = stack_answers(named, self.space, ids)
        fused = self.combiner.combine(answers.values)
        reasons = {row.utterance_id: str(row.error) for table in reversed(tables) for row in table.failed}
        warnings = {name: words for table in reversed(tables) for name, words in table.warnings.items()}
        rows = [self._row(number, answers, fused[number], reasons) for number in range(len(ids))]
        rows = tuple(dataclasses.replace(row, warning=warnings.get(row.utterance_id)) for row in rows)
        fingerprints = {table.manifest_fingerprint for table in tables}
        return Predictions(rows, self.space, None, fingerprints.pop() if len(fingerprints) == 1 else None)

    def _row(self, number: int, answers: Answers, fused: FloatArray, reasons: Mapping[str, str]) -> Prediction:
        key = answers.utterance_ids[number]
        failed = [name for name, there in zip(self.names, answers.answered[:, number], strict=True) if not there]
        if failed and (self.combiner.needs_all or len(failed) == len(self.names)):
            return Prediction(key, error=f"no answer of {', '.join(failed)}: {reasons[key]}")
        values = fused.tolist()
        if self.space.classes:
            return Prediction(key, dict(zip(self.space.classes, values, strict=True)))
        scales = self.space.dimensions.items()
        clipped = {name: scale.clamp(value) for (name, scale), value in zip(scales, values, strict=True)}
        return Prediction(key, dimensions=clipped)

    def to_json(self) -> dict[str, Any]:
        """Plain data for a JSON file."""
        return {
            "systems": list(self.names),
            "method": self.method,
            "metric": self.metric,
            "seed": self.seed,
            **self.space.to_json(),
            "weights": self.weights,
            **{key: value for key, value in self.combiner.to_json().items() if key != "weights"},
            "fitted_on": self.fitted_on.to_json(),
            "reported_on": self.reported_on.to_json(),
            "best_single": self.best_single,
            "gain": self.gain,
            "left_out": dict(self.left_out),
            "notes": list(self.notes),
        }


def fuse_tables(
    names: Sequence[str],
    truth: Manifest,
    development: Sequence[Predictions],
    *,
    method: str = "weights",
    metric: str = "macro_f1",
    seed: int = 0,
    fit_share: float = 0.5,
) -> Fusion:
    """Fits a fusion on one part of development, and scores it and each system on the other.

    Utterances that a system failed on are left out, and counted in the notes.

    Args:
        names: one a system, different.
        truth: the development split.
        development: each system's predictions of it.
        method: weights, stacking, meta or majority.
        metric: macro_f1, uar or accuracy, to fuse classes; ccc, the mean over dimensions, to fuse these.
        seed: of the parting and the search.
        fit_share: of the utterances, to fit on.

    Raises:
        ConfigError: for fewer than two systems, a name given twice, or an unknown method or metric.
        CorpusError: when development has no truth for what is to be fused.
        TableError: for systems of different classes or dimensions, or without some utterances.
    """
    check_method(method, metric)
    if len(names) < 2:
        raise ConfigError(f"A fusion needs two systems at least, got {', '.join(names) or 'none'}.")
    named = _named(names, development)
    space = task_space(named, of_classes=metric != CCC)
    _check_truth(truth, space)
    labelled = labelled_part(truth, space)
    answers = stack_answers(named, space, [utterance.utterance_id for utterance in labelled])
    whole = np.asarray(answers.answered.all(axis=0))
    failed = int((~whole).sum())
    kept = labelled.replace_utterances([u for u, there in zip(labelled, whole, strict=True) if there])
    fit_part, report_part, notes = in_two(
        kept, fit_share=fit_share, seed=seed, purpose="chosen" if method == "majority" else "fitted"
    )
    heard = len({utterance.speaker for utterance in fit_part} - {None})
    if 0 < heard < FEW_SPEAKERS and method != "majority":
        notes += (
            f"Fitted on {heard} speaker{'s' * (heard > 1)}: what suits them need not suit others; compare with"
            " --method majority, which fits nothing.",
        )
    if failed:
        notes += (f"Left out, since a system failed on them: {failed} of {len(labelled)} development utterances.",)
    parts = [_Lined(part, named, space, metric) for part in (fit_part, report_part)]
    combiner = METHODS[method](parts[0].values, parts[0].objective, seed=seed, speakers=parts[0].speakers)
    fitted_on, reported_on = (part.scored(combiner) for part in parts)
    singles = fitted_on.singles
    return Fusion(
        tuple(names),
        space,
        method,
        metric,
        seed,
        combiner,
        fitted_on,
        reported_on,
        max(singles, key=lambda name: np.nan_to_num(singles[name], nan=-np.inf)),
        {name: _without(number, *parts, method=method, seed=seed) for number, name in enumerate(names)},
        notes,
    )


def labelled_part(truth: Manifest, space: LabelSpace) -> Manifest:
    """Utterances with a class, or at least one dimension.

    Raises:
        CorpusError: when there are none.
    """
    there = known(truth_of(truth, space))
    if not there.any():
        what = "class" if space.classes else "dimension"
        raise CorpusError(f"No development utterance has a {what} to fit to. Give development its labels.")
    return truth.replace_utterances([utterance for utterance, has in zip(truth, there, strict=True) if has])


def check_method(method: str, metric: str) -> None:
    """Raises a ConfigError for an unknown method or metric, or one that does not go with the other."""
    if method not in METHODS:
        raise ConfigError("--method: " + unknown_name_message("fusion method", method, METHODS))
    check_metric(metric)
    if method in ("majority", "meta") and metric == CCC:
        raise ConfigError(f"--method {method} is of classes: choose weights or stacking for dimensions.")


class _Lined:
    """A part of development with the systems' answers."""

    def __init__(self, manifest: Manifest, named: Mapping[str, Predictions], space: LabelSpace, metric: str) -> None:
        self.names = list(named)
        self.values = stack_answers(named, space, [utterance.utterance_id for utterance in manifest]).values
        outputs = len(space.classes) or len(space.dimensions)
        self.objective = Objective(truth_of(manifest, space), metric, outputs)
        self.speakers = [utterance.speaker for utterance in manifest]

    def scored(self, combiner: Combiner) -> DevelopmentPart:
        singles = {name: self.objective.score(own) for name, own in zip(self.names, self.values, strict=True)}
        fused = self.objective.score(combiner.combine(self.values))
        return DevelopmentPart(self.values.shape[1], len({*self.speakers} - {None}), singles, fused)


def _without(number: int, fit_part: _Lined, report_part: _Lined, *, method: str, seed: int) -> float:
    """Score of the fusion of all systems but one, fitted anew, on the part for reporting."""
    others = np.delete(fit_part.values, number, axis=0)
    combiner = METHODS[method](others, fit_part.objective, seed=seed, speakers=fit_part.speakers)
    return report_part.objective.score(combiner.combine(np.delete(report_part.values, number, axis=0)))


def _named(names: Sequence[str], tables: Sequence[Predictions]) -> dict[str, Predictions]:
    if len(names) != len(tables):
        raise ConfigError(f"{len(names)} systems ({', '.join(names)}) need as many tables, got {len(tables)}.")
    twice = sorted({name for name in names if list(names).count(name) > 1})
    if twice:
        raise ConfigError(f"Systems need different names, {', '.join(twice)} is given twice: write NAME=PATH.")
    return dict(zip(names, tables, strict=True))


def _check_truth(truth: Manifest, space: LabelSpace) -> None:
    """Refuses a truth with other classes, or dimensions off the systems' scale."""
    strange = sorted({u.emotion for u in truth if u.emotion is not None} - set(space.classes)) if space.classes else []
    if strange:
        raise CorpusError(
            f"Development has {', '.join(strange[:_SHOWN])}, which the systems do not know; they know"
            f" {', '.join(space.classes)}. Map or drop classes in the manifest."
        )
    for name, scale in space.dimensions.items():
        own = truth.label_space.dimensions.get(name)
        if own is not None and own != scale:
            raise CorpusError(
                f"{name} is annotated from {own.low:g} to {own.high:g} and predicted from {scale.low:g} to"
                f" {scale.high:g}; both must be on one scale."
            )
