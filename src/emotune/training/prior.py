"""Prior over classes that a recipe's losses teach a model, after class weights and sampling."""

from __future__ import annotations

import numpy as np

from emotune.config.recipe import Recipe
from emotune.losses.options import ClassWeightOptions
from emotune.metrics.division import FloatArray
from emotune.schema.labels import LabelSpace
from emotune.schema.manifest import Manifest
from emotune.training.build_task import class_weights, vote_targets
from emotune.training.sampling import mean_times
from emotune.votes.consensus import vote_shares


def training_prior(recipe: Recipe, space: LabelSpace, train: Manifest) -> dict[str, float]:
    """Class -> share, summing to one, that a model which knew nothing of the sound would predict.

    The shares are those of the training utterances as they are sampled, times the class weights; a loss of votes
    teaches the mean of the votes. Label smoothing moves them towards equal ones. Several losses count by their
    weight. Empty without classes. That a focal loss counts sure utterances less, and mixing of clips, are left out
    of account.

    Args:
        recipe: its losses and sampling.
        space: the model's classes.
        train: the training split.
    """
    weights = mean_times(train, recipe.train.sampling)
    size = len(space.classes)
    total, strength = np.zeros(size), 0.0
    for _, section in recipe.loss:
        if not section.weight or not size or section.class_truth is None:
            continue
        if section.class_truth == "labels":
            shares = _label_shares(train, space, weights)
            chosen = None
            if isinstance(section, ClassWeightOptions):
                chosen = class_weights(section, train, space, times=weights)
            shares = shares if chosen is None else shares * chosen.double().numpy()
        else:
            targets = vote_targets(recipe, space)
            learnt = train if targets is None else train.replace_utterances([targets.mean(u) for u in train])
            shares = _vote_shares(learnt, space, weights)
        smoothing = getattr(section, "smoothing", 0.0)
        total += section.weight * ((1 - smoothing) * shares / shares.sum() + smoothing / size)
        strength += section.weight
    return dict(zip(space.classes, (total / strength).tolist(), strict=True)) if strength else {}


def _label_shares(train: Manifest, space: LabelSpace, weights: FloatArray) -> FloatArray:
    rows = np.array([[utterance.emotion == name for name in space.classes] for utterance in train], dtype=float)
    return weights @ rows / weights.sum()


def _vote_shares(train: Manifest, space: LabelSpace, weights: FloatArray) -> FloatArray:
    rows = np.array([vote_shares(utterance.votes, space.classes) for utterance in train])
    known = np.isfinite(rows).all(axis=1)
    return weights[known] @ rows[known] / weights[known].sum()
