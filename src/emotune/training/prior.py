"""Prior over classes that a recipe's losses teach a model, after class weights and sampling."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import numpy as np

from emotune.config.recipe import Recipe
from emotune.losses.options import ClassWeightOptions
from emotune.metrics.division import FloatArray
from emotune.schema.labels import LabelSpace
from emotune.schema.manifest import Manifest
from emotune.training.build import class_weights
from emotune.votes.consensus import vote_shares


def training_prior(recipe: Recipe, space: LabelSpace, train: Manifest) -> dict[str, float]:
    """Class -> share, summing to one, that a model which knew nothing of the sound would predict.

    The shares are those of the training utterances, times the class weights, or equal under balanced sampling; a loss
    of votes teaches the mean of the votes. Label smoothing moves them towards equal ones. Several losses count by their
    weight. Empty without classes. That a focal loss counts sure utterances less, and mixing of clips, are left out
    of account.

    Args:
        recipe: its losses and sampling.
        space: the model's classes.
        train: the training split.
    """
    weights = _weights(recipe, train)
    size = len(space.classes)
    total, strength = np.zeros(size), 0.0
    for _, section in recipe.loss:
        if not section.weight or not size or section.class_truth is None:
            continue
        if section.class_truth == "labels":
            shares = _label_shares(train, space, weights)
            chosen = None
            if isinstance(section, ClassWeightOptions):
                chosen = class_weights(section.class_weights, train, space, beta=section.effective_beta)
            shares = shares if chosen is None else shares * chosen.double().numpy()
        else:
            shares = _vote_shares(train, space, weights)
        smoothing = getattr(section, "smoothing", 0.0)
        total += section.weight * ((1 - smoothing) * shares / shares.sum() + smoothing / size)
        strength += section.weight
    return dict(zip(space.classes, (total / strength).tolist(), strict=True)) if strength else {}


def _weights(recipe: Recipe, train: Manifest) -> FloatArray:
    """Mean number of times that each utterance occurs in an epoch, shape (utterances,)."""
    if recipe.train.sampling == "natural":
        return np.ones(len(train))
    counts: Mapping[str | None, int] = Counter(utterance.emotion for utterance in train)
    each = sum(count for name, count in counts.items() if name is not None) / max(len(counts.keys() - {None}), 1)
    return np.array([1.0 if u.emotion is None else each / counts[u.emotion] for u in train])


def _label_shares(train: Manifest, space: LabelSpace, weights: FloatArray) -> FloatArray:
    rows = np.array([[utterance.emotion == name for name in space.classes] for utterance in train], dtype=float)
    return weights @ rows / weights.sum()


def _vote_shares(train: Manifest, space: LabelSpace, weights: FloatArray) -> FloatArray:
    rows = np.array([vote_shares(utterance.votes, space.classes) for utterance in train])
    known = np.isfinite(rows).all(axis=1)
    return weights[known] @ rows[known] / weights[known].sum()
