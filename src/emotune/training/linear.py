"""Linear models on frozen features: quick, hard to beat with little data, and the best start for a fine-tuned head."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from emotune.errors import CorpusError
from emotune.models.emotion_model import EmotionModel
from emotune.models.heads.network import HeadNetwork, LayerHeads
from emotune.runtime.progress import Progress, silent
from emotune.runtime.threads import one_thread
from emotune.schema.labels import LabelSpace
from emotune.schema.manifest import Manifest
from emotune.schema.predictions import Prediction, Predictions
from emotune.schema.truth import class_index, unit_dimensions

FloatArray = NDArray[np.floating]
Score = Callable[[Manifest, Predictions], float]
_EQUAL = 1e-9
"""Scores this near to each other differ by rounding alone."""


@dataclass(frozen=True)
class LinearModel:
    """Standardisation and linear outputs, fitted on training utterances.

    Args:
        mean, std: of the training features, shape (features,).
        class_weight, class_bias: shapes (classes, features) and (classes,); empty without classes.
        dimension_weight, dimension_bias: the same for dimensions, on the unit scale.
    """

    mean: FloatArray
    std: FloatArray
    class_weight: FloatArray
    class_bias: FloatArray
    dimension_weight: FloatArray
    dimension_bias: FloatArray


def fit_linear(
    features: FloatArray,
    manifest: Manifest,
    space: LabelSpace,
    *,
    inverse_regularisation: float,
    times: FloatArray | None = None,
) -> LinearModel:
    """Standardise, then logistic regression with balanced class weights, and ridge regression for each dimension.

    Args:
        features: shape (utterances, features), in the order of the manifest.
        manifest: the training utterances; those without a class, or a dimension, do not count for it.
        space: classes and dimensions to fit.
        inverse_regularisation: C of the logistic regression; ridge uses alpha = 1 / C.
        times: how often each utterance counts, shape (utterances,); None = once.

    Raises:
        CorpusError: when a class has no training utterance.
    """
    from sklearn.linear_model import LogisticRegression, Ridge  # noqa: PLC0415 (two seconds, and few runs need them)
    from sklearn.preprocessing import StandardScaler  # noqa: PLC0415

    scaler = StandardScaler().fit(features, sample_weight=times)
    standard = np.asarray(scaler.transform(features))
    size = features.shape[1]

    def of_known(known: NDArray[np.bool_]) -> FloatArray | None:
        return None if times is None else times[known]

    weight, bias = np.zeros((0, size)), np.zeros(0)
    if space.classes:
        truth = np.array([class_index(u, space) for u in manifest], dtype=np.int64)
        absent = [name for index, name in enumerate(space.classes) if index not in truth]
        if absent:
            raise CorpusError(f"No training utterance of class {', '.join(absent)}; drop it, or change the splits.")
        logistic = LogisticRegression(C=inverse_regularisation, max_iter=2000, class_weight="balanced")
        with one_thread():
            logistic.fit(standard[truth >= 0], truth[truth >= 0], sample_weight=of_known(truth >= 0))
        weight, bias = np.asarray(logistic.coef_), np.asarray(logistic.intercept_)
        if len(space.classes) == 2:  # scikit-learn keeps one row for two classes
            weight, bias = np.concatenate([-weight, weight]) / 2, np.concatenate([-bias, bias]) / 2
    values = np.array([unit_dimensions(u, space) for u in manifest]).reshape(len(features), -1)
    rows, offsets = [], []
    for column, name in enumerate(space.dimensions):
        known = np.isfinite(values[:, column])
        if known.sum() < 2:
            raise CorpusError(f"Fewer than two training utterances have a value for dimension '{name}'.")
        ridge = Ridge(alpha=1 / inverse_regularisation)
        with one_thread():
            ridge.fit(standard[known], values[known, column], sample_weight=of_known(known))
        rows.append(ridge.coef_)
        offsets.append(ridge.intercept_)
    return LinearModel(
        np.asarray(scaler.mean_),
        np.asarray(scaler.scale_),
        weight,
        bias,
        np.array(rows).reshape(-1, size),
        np.array(offsets, dtype=float),
    )


def predict_linear(model: LinearModel, features: FloatArray, manifest: Manifest, space: LabelSpace) -> Predictions:
    """Predictions of a linear model for a manifest, in its order; features have the shape (utterances, features)."""
    standard = (features - model.mean) / model.std
    logits = standard @ model.class_weight.T + model.class_bias
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True, initial=-np.inf)) if space.classes else logits
    probabilities = shifted / shifted.sum(axis=1, keepdims=True) if space.classes else shifted
    units = standard @ model.dimension_weight.T + model.dimension_bias
    warnings = manifest.information.get("unheard", {})
    rows = [
        Prediction(
            utterance.utterance_id,
            dict(zip(space.classes, map(float, probabilities[row]), strict=True)),
            {name: scale.from_unit(float(units[row, k])) for k, (name, scale) in enumerate(space.dimensions.items())},
            warning=warnings.get(utterance.utterance_id),
        )
        for row, utterance in enumerate(manifest)
    ]
    return Predictions(tuple(rows), space, manifest_fingerprint=manifest.fingerprint())


def copy_into(model: EmotionModel, fitted: Sequence[LinearModel]) -> None:
    """Copies linear models into the linear heads of an emotion model, which give the same on the same pooled features.

    Args:
        model: with one head, or one for each layer.
        fitted: a linear model for each head.
    """

    def tensors(name: str) -> list[torch.Tensor]:
        return [torch.tensor(np.asarray(getattr(linear, name)), dtype=torch.float32) for linear in fitted]

    shape = model.standardize.mean.shape
    model.standardize.set(torch.stack(tensors("mean")).reshape(shape), torch.stack(tensors("std")).reshape(shape))
    for kind, name in (("class", "classes"), ("dimension", "dimensions")):
        if name not in model.heads:
            continue
        head = model.heads[name]
        heads = list(head.heads) if isinstance(head, LayerHeads) else [head]
        for single, weight, bias in zip(heads, tensors(f"{kind}_weight"), tensors(f"{kind}_bias"), strict=False):
            assert isinstance(single, HeadNetwork)
            single.start_from(weight, bias)


@dataclass(frozen=True)
class LayerChoice:
    """A layer and a regularisation, with the development score that chose them and all scores by (layer, C).

    Of equal scores the lowest layer counts, which is the smallest encoder, and then the strongest regularisation.
    """

    layer: int
    inverse_regularisation: float
    score: float
    scores: dict[tuple[int, float], float]

    @property
    def tied_layers(self) -> list[int]:
        """The layers that reach the same score with some regularisation, the chosen one first."""
        return sorted({layer for (layer, _), score in self.scores.items() if score > self.score - _EQUAL})


def choose(
    features: FloatArray,
    manifest: Manifest,
    train: NDArray[np.bool_],
    development: NDArray[np.bool_],
    space: LabelSpace,
    *,
    grid: Sequence[float],
    score: Score,
    times: FloatArray | None = None,
    progress: Progress = silent,
) -> LayerChoice:
    """Fits every layer and regularisation on ``train`` and keeps the pair that scores best on ``development``.

    Args:
        features: shape (utterances, layers, features).
        train, development: which utterances, boolean masks of shape (utterances,).
        times: how often each utterance counts in training, shape (utterances,); None = once.
    """
    folds = [(train, development)]
    return choose_by_folds(features, manifest, folds, space, grid=grid, score=score, times=times, progress=progress)


def choose_by_folds(
    features: FloatArray,
    manifest: Manifest,
    folds: Sequence[tuple[NDArray[np.bool_], NDArray[np.bool_]]],
    space: LabelSpace,
    *,
    grid: Sequence[float],
    score: Score,
    times: FloatArray | None = None,
    progress: Progress = silent,
) -> LayerChoice:
    """As ``choose``, over several (train, development) folds whose predictions are pooled and scored once."""
    scores: dict[tuple[int, float], float] = {}
    count = features.shape[1]
    for layer in progress(range(count), total=count, title="fit layers"):
        for strength in grid:
            rows: list[Prediction] = []
            for train, development in folds:
                model = fit_linear(
                    features[train, layer],
                    _part(manifest, train),
                    space,
                    inverse_regularisation=strength,
                    times=None if times is None else times[train],
                )
                part = _part(manifest, development)
                rows += predict_linear(model, features[development, layer], part, space).rows
            scored = np.any([development for _, development in folds], axis=0)
            scores[(layer, strength)] = score(_part(manifest, scored), Predictions(tuple(rows), space))
    highest = max(np.nan_to_num(score, nan=-np.inf) for score in scores.values())
    equals = [pair for pair, score in scores.items() if np.nan_to_num(score, nan=-np.inf) >= highest - _EQUAL]
    best = min(equals)
    return LayerChoice(best[0], best[1], scores[best], scores)


def leave_groups_out(
    features: FloatArray,
    manifest: Manifest,
    groups: Sequence[str],
    space: LabelSpace,
    *,
    grid: Sequence[float],
    score: Score,
    progress: Progress = silent,
) -> tuple[Predictions, dict[str, LayerChoice]]:
    """Nested cross-validation: each group is predicted by a model that never saw it, layer and C included.

    For every group that is held out, layer and C are chosen by leaving out each of the *other* groups in turn, and the
    model is fitted anew on all of them.

    Args:
        features: shape (utterances, layers, features).
        groups: the speaker (or session) of each utterance.

    Returns:
        The pooled predictions of all utterances, and what was chosen for each group.

    Raises:
        CorpusError: for fewer than three groups.
    """
    labels = np.array(groups)
    rows: dict[str, Prediction] = {}
    choices: dict[str, LayerChoice] = {}
    names = sorted(set(groups))
    if len(names) < 3:
        raise CorpusError(f"Leaving one group out needs at least 3 groups, got {len(names)}.")
    for held_out in progress(names, total=len(names), title="leave one out"):
        train = labels != held_out
        inner = [(train & (labels != other), labels == other) for other in names if other != held_out]
        choice = choose_by_folds(features, manifest, inner, space, grid=grid, score=score)
        model = fit_linear(
            features[train, choice.layer],
            _part(manifest, train),
            space,
            inverse_regularisation=choice.inverse_regularisation,
        )
        test = _part(manifest, ~train)
        rows |= predict_linear(model, features[~train, choice.layer], test, space).by_id()
        choices[held_out] = choice
    pooled = tuple(rows[utterance.utterance_id] for utterance in manifest)
    return Predictions(pooled, space, manifest_fingerprint=manifest.fingerprint()), choices


def _part(manifest: Manifest, chosen: NDArray[np.bool_]) -> Manifest:
    return manifest.replace_utterances([u for u, keep in zip(manifest, chosen, strict=True) if keep])
