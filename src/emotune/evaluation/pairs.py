"""Truth and prediction side by side, and every utterance that could not be paired, with its reason."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emotune.errors import CorpusError, ModelError
from emotune.evaluation.statistics.bootstrap import cluster_codes
from emotune.metrics.division import FloatArray, IntArray
from emotune.schema.labels import LabelSpace, Scale
from emotune.schema.manifest import Manifest
from emotune.schema.predictions import Prediction, Predictions, align
from emotune.schema.speakers import with_corpus, without_corpus
from emotune.schema.utterance import Utterance
from emotune.votes.consensus import vote_shares

NO_TRUTH = "no truth in the manifest"
VOTES_ALONE = "votes but no label in the manifest, scored against the votes alone"
NO_ROW = "no prediction"
FAILED = "the prediction failed"
NOT_FINITE = "the prediction is missing or not a finite number"


@dataclass(frozen=True)
class NotScored:
    """Utterances left out of the figures, why, and a few of them by name."""

    reason: str
    count: int
    examples: tuple[str, ...]

    def to_json(self) -> dict[str, object]:
        """Plain data for a JSON file."""
        return {"reason": self.reason, "count": self.count, "examples": list(self.examples)}


@dataclass(frozen=True)
class Pairs:
    """The utterances that have both a truth and a prediction, row by row.

    Args:
        utterances: of length rows.
        speakers: each row's speaker, with its corpus before it where there are several corpora; None where unknown.
        clusters: each row's cluster for the bootstrap.
        classes: the model's classes; empty when classes are not scored.
        truth: class index, -1 where the manifest has none, shape (rows,).
        probabilities: shape (rows, classes).
        dimensions: name -> scale of the annotation, those that are scored.
        dimension_truth: name -> values, NaN where the manifest has none, shape (rows,).
        dimension_prediction: name -> values on the scale of the annotation, shape (rows,).
        failed: utterances with a truth whose prediction failed.
        not_scored: what is left out, with reasons.
        notes: what a reader of the figures should know.
    """

    utterances: tuple[Utterance, ...]
    speakers: tuple[str | None, ...]
    clusters: IntArray
    classes: tuple[str, ...]
    truth: IntArray
    probabilities: FloatArray
    dimensions: Mapping[str, Scale]
    dimension_truth: Mapping[str, FloatArray]
    dimension_prediction: Mapping[str, FloatArray]
    failed: tuple[Utterance, ...]
    not_scored: tuple[NotScored, ...]
    notes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.utterances)

    @property
    def prediction(self) -> IntArray:
        """Predicted class indices, shape (rows,)."""
        return self.probabilities.argmax(axis=1) if self.classes else np.zeros(len(self), dtype=np.int64)

    def take(self, rows: IntArray) -> Pairs:
        """Subset of the rows; fields about the whole are kept."""
        return dataclasses.replace(
            self,
            utterances=tuple(self.utterances[row] for row in rows),
            speakers=tuple(self.speakers[row] for row in rows),
            clusters=self.clusters[rows],
            truth=self.truth[rows],
            probabilities=self.probabilities[rows],
            dimension_truth={name: values[rows] for name, values in self.dimension_truth.items()},
            dimension_prediction={name: values[rows] for name, values in self.dimension_prediction.items()},
        )

    @property
    def has_class(self) -> NDArray[np.bool_]:
        """Mask of the rows with a true class, shape (rows,)."""
        return self.truth >= 0


def pair(manifest: Manifest, predictions: Predictions) -> Pairs:
    """Joins truth and prediction by utterance_id.

    Raises:
        CorpusError: when the manifest holds a class that the model does not know, or nothing that could be scored.
        TableError: when an utterance with a truth has no row among the predictions.
        ModelError: when not one prediction can be used.
    """
    space = _shared_space(manifest, predictions)
    wanted = [utterance for utterance in manifest if _has_truth(utterance, space)]
    voted = {u.utterance_id for u in manifest if _has_votes(u, predictions.label_space)}
    if not wanted and not voted:
        raise CorpusError(_nothing_to_score(manifest, predictions))
    without = [u.utterance_id for u in manifest if not _has_truth(u, space)]
    left_out: dict[str, list[str]] = {
        NO_TRUTH: [name for name in without if name not in voted],
        VOTES_ALONE: [name for name in without if name in voted],
    }
    rows: list[tuple[Utterance, Prediction]] = []
    failed: list[Utterance] = []
    for utterance, prediction in zip(wanted, align(predictions, [u.utterance_id for u in wanted]), strict=True):
        if prediction.error:
            failed.append(utterance)
            left_out.setdefault(FAILED, []).append(f"{utterance.utterance_id} ({prediction.error})")
        elif not _is_finite(prediction, space):
            left_out.setdefault(NOT_FINITE, []).append(utterance.utterance_id)
        else:
            rows.append((utterance, prediction))
    if wanted and not rows:
        reason = next(name for name in (FAILED, NOT_FINITE) if name in left_out)
        raise ModelError(
            f"None of {len(wanted)} predictions can be scored; {reason}, such as {left_out[reason][0]}."
            " Mend the predictions first."
        )
    utterances = tuple(utterance for utterance, _ in rows)
    speakers = speakers_of(utterances)
    index = {name: position for position, name in enumerate(space.classes)}
    return Pairs(
        utterances,
        speakers,
        cluster_codes(speakers),
        space.classes,
        np.array([index.get(u.emotion or "", -1) for u in utterances], dtype=np.int64),
        np.array([[p.probabilities[name] for name in space.classes] for _, p in rows], dtype=float),
        space.dimensions,
        {name: np.array([u.dimensions.get(name, math.nan) for u in utterances]) for name in space.dimensions},
        {
            name: _on_scale([p.dimensions[name] for _, p in rows], predictions.label_space.dimensions[name], scale)
            for name, scale in space.dimensions.items()
        },
        tuple(failed),
        tuple(NotScored(reason, len(ids), tuple(ids[:5])) for reason, ids in left_out.items() if ids),
        tuple(_notes(manifest, predictions, space)),
    )


def _shared_space(manifest: Manifest, predictions: Predictions) -> LabelSpace:
    """The model's classes and the dimensions that both have, on the scale of the annotation."""
    model, truth = predictions.label_space, manifest.label_space
    occurring = Counter(u.emotion for u in manifest if u.emotion is not None)
    unknown = {name: count for name, count in occurring.items() if name not in model.classes}
    if model.classes and unknown:
        named = ", ".join(f"'{name}' ({count} utterances)" for name, count in sorted(unknown.items()))
        raise CorpusError(
            f"The manifest holds classes that the model does not know: {named}. The model knows:"
            f" {', '.join(model.classes)}. Map each to a class that it knows (`map`) or leave it out (`drop`)."
        )
    shared = {name: scale for name, scale in truth.dimensions.items() if name in model.dimensions}
    return LabelSpace(model.classes if occurring else (), shared)


def _has_truth(utterance: Utterance, space: LabelSpace) -> bool:
    return (utterance.emotion is not None and bool(space.classes)) or any(
        name in utterance.dimensions for name in space.dimensions
    )


def _has_votes(utterance: Utterance, space: LabelSpace) -> bool:
    return math.isfinite(sum(vote_shares(utterance.votes, space.classes))) and bool(space.classes)


def _nothing_to_score(manifest: Manifest, predictions: Predictions) -> str:
    model = ", ".join([*predictions.label_space.classes, *predictions.label_space.dimensions]) or "nothing"
    return (
        f"None of the manifest's {len(manifest)} utterances has a truth that the model predicts (it predicts: {model})."
        " Score a split that has utterances and labels."
    )


def _is_finite(prediction: Prediction, space: LabelSpace) -> bool:
    values = [prediction.probabilities.get(name, math.nan) for name in space.classes]
    values += [prediction.dimensions.get(name, math.nan) for name in space.dimensions]
    return all(math.isfinite(value) for value in values)


def speakers_of(utterances: Sequence[Utterance]) -> tuple[str | None, ...]:
    """Speakers of the utterances, prefixed with the corpus if there are several corpora; None if unknown."""
    several = len({utterance.corpus for utterance in utterances}) > 1
    return tuple(
        with_corpus(u.corpus or "unnamed corpus", without_corpus(u.corpus, u.speaker))
        if several and u.speaker is not None
        else u.speaker
        for u in utterances
    )


def _on_scale(values: list[float], own: Scale, wanted: Scale) -> FloatArray:
    if own == wanted:
        return np.array(values, dtype=float)
    return np.array([wanted.from_unit(own.to_unit(value)) for value in values], dtype=float)


def _notes(manifest: Manifest, predictions: Predictions, space: LabelSpace) -> list[str]:
    notes = []
    known = {utterance.utterance_id for utterance in manifest}
    ignored = [row.utterance_id for row in predictions if row.utterance_id not in known]
    if ignored:
        notes.append(
            f"Predictions of utterances that the manifest does not hold, ignored: {len(ignored)},"
            f" such as '{ignored[0]}'."
        )
    model, truth = predictions.label_space, manifest.label_space
    for name, scale in space.dimensions.items():
        own = model.dimensions[name]
        if own != scale:
            notes.append(
                f"{name} was predicted on [{own.low:g}, {own.high:g}] and is scored on the scale of the annotation,"
                f" [{scale.low:g}, {scale.high:g}]."
            )
    unscored = [name for name in truth.dimensions if name not in model.dimensions]
    if unscored:
        notes.append(f"The model does not predict these dimensions of the manifest: {', '.join(unscored)}.")
    unscored = [name for name in model.dimensions if name not in truth.dimensions]
    if unscored:
        notes.append(f"The manifest has no truth for these dimensions of the model: {', '.join(unscored)}.")
    if not model.classes and any(utterance.emotion for utterance in manifest):
        notes.append("The model predicts no classes, so the emotions of the manifest are not scored.")
    if model.classes and not space.classes:
        notes.append("The manifest names no emotion, so the classes of the model are not scored.")
    return notes
