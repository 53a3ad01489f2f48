"""Semi-supervised learning: a model labels clips where it is sure, and learns these labels from the clips changed."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from emotune.batch import Batch, Output
from emotune.config.lessons import SemiSupervisedOptions
from emotune.config.recipe import Recipe
from emotune.errors import CorpusError
from emotune.losses.combined import CombinedLoss, at_least_some
from emotune.runtime.listener import Listener
from emotune.runtime.progress import Progress
from emotune.schema.labels import LabelSpace
from emotune.schema.manifest import Manifest
from emotune.schema.predictions import Predictions, align
from emotune.schema.truth import class_index
from emotune.training.label_task import LabelTask
from emotune.training.lesson import Lesson

PSEUDO = "pseudo_labels"
"""Truth that the model made itself, and the loss of it."""
NONE = 2.0
"""A threshold that no confidence reaches."""
_FEWEST = 5  # development answers above a threshold, for their share of right ones to mean anything


class SemiSupervisedTask(LabelTask):
    """Adds the cross-entropy with the model's own sure answers to clips without a label.

    An answer is to the clip as it is, by the model in evaluation mode and without gradient; the loss is of the clip
    as augmentation changed it, over all clips without a label, sure or not.

    Args:
        loss: those of the recipe.
        weight: of the model's own labels.
        precision: that the answers above the threshold had on development.
        threshold: a fixed one in its place.

    Reference:
        Sohn et al. (2020), FixMatch, arXiv 2001.07685, section 2.2. A threshold that development sets is ours.
    """

    threshold: Tensor

    def __init__(self, loss: CombinedLoss, *, weight: float, precision: float, threshold: float | None) -> None:
        super().__init__(loss)
        self.weight = weight
        self.precision = precision
        self.is_fixed = threshold is not None
        start = NONE if threshold is None else threshold  # before a first score nobody knows how sure is sure
        self.register_buffer("threshold", torch.tensor(start, dtype=torch.float64))

    def heard(self, model: nn.Module, batch: Batch) -> Batch:
        unlabelled = _unlabelled(batch)
        own = torch.full_like(batch.targets["classes"], torch.nan)
        if self.weight and unlabelled.any() and self.threshold < 1.0 + 1e-9:
            own[unlabelled] = self._labels(model, (batch.unchanged or batch).rows(unlabelled.to(batch.mask.device)))
        return dataclasses.replace(batch, targets={**batch.targets, PSEUDO: own})

    @torch.no_grad()
    def _labels(self, model: nn.Module, batch: Batch) -> Tensor:
        """One for the class of each sure answer, zero for others, shape (batch, classes); NaN where it is not sure."""
        was_training = model.training
        model.eval()
        try:
            output: Output = model(batch)
        finally:
            model.train(was_training)
        shares = output.heads["classes"].double().softmax(dim=1)
        sure, which = shares.max(dim=1)
        labels = F.one_hot(which, shares.shape[1]).float()
        return labels.masked_fill((sure < self.threshold)[:, None], torch.nan)

    def normalisers(self, batch: Batch) -> Mapping[str, Tensor]:
        return {**super().normalisers(batch), PSEUDO: _unlabelled(batch).float().sum()}

    def mean_losses(self, output: Output, batch: Batch, normalisers: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        labels = torch.nan_to_num(batch.targets[PSEUDO], nan=0.0)
        total = -(labels * F.log_softmax(output.heads["classes"].float(), dim=1)).sum()
        own = self.weight * total / at_least_some(normalisers[PSEUDO])
        return {**super().mean_losses(output, batch, normalisers), PSEUDO: own}

    def scored(self, development: Manifest, predictions: Predictions) -> Mapping[str, float]:
        classes = predictions.label_space.classes
        rows = align(predictions, [utterance.utterance_id for utterance in development])
        truth = np.array([class_index(utterance, predictions.label_space) for utterance in development])
        answers = np.array([[row.probabilities[name] for name in classes] for row in rows])[truth >= 0]
        is_right = answers.argmax(axis=1) == truth[truth >= 0]
        sure = answers.max(axis=1)
        if not self.is_fixed:
            self.threshold.fill_(threshold_of(sure, is_right, precision=self.precision))
        level = float(self.threshold)
        return {"sure_threshold": level, "sure_share": float((sure >= level).mean())}


def threshold_of(sure: NDArray[np.float64], is_right: NDArray[np.bool_], *, precision: float) -> float:
    """The lowest confidence with this share of right answers among those as sure or surer.

    Five answers at least must be so; ``NONE`` where there is no such confidence.

    Args:
        sure: confidence of each answer, shape (utterances,).
        is_right: likewise.
        precision: the share.

    >>> sure, is_right = np.array([0.9, 0.8, 0.7, 0.6, 0.5, 0.4]), np.array([1, 1, 1, 1, 1, 0], dtype=bool)
    >>> threshold_of(sure, is_right, precision=0.9), threshold_of(sure, is_right, precision=0.8)
    (0.5, 0.4)
    """
    order = np.argsort(-sure, kind="stable")
    counts = np.arange(1, len(sure) + 1)
    right = np.cumsum(is_right[order])
    is_last_of_tie = np.append(np.diff(sure[order]) != 0, True)[: len(sure)]
    good = (right >= precision * counts - 1e-9) & (counts >= _FEWEST) & is_last_of_tie
    return float(sure[order][np.flatnonzero(good)[-1]]) if good.any() else NONE


def _unlabelled(batch: Batch) -> Tensor:
    return torch.isnan(batch.targets["classes"]).any(dim=1)


class SemiSupervision(Lesson):
    """Labels where there are some, and the model's own where it is sure.

    Raises:
        CorpusError: when every training utterance has a label.
    """

    hears_unchanged = True

    def __init__(self, recipe: Recipe, space: LabelSpace, manifest: Manifest) -> None:
        super().__init__(recipe, space, manifest)
        options: Any = recipe.task
        assert isinstance(options, SemiSupervisedOptions)
        self.options = options

    def task(self, loss: CombinedLoss) -> LabelTask:
        options = self.options
        return SemiSupervisedTask(loss, weight=options.weight, precision=options.precision, threshold=options.threshold)

    def check(self, train: Manifest) -> None:
        if all(utterance.emotion is not None for utterance in train):
            raise CorpusError(
                "task: semi_supervised learns from training utterances without a label, and all have one. Set"
                " data.budget, whose rest is heard without labels, or name recordings without in data.unlabelled."
            )

    def prepare(self, train: Manifest, *, listener: Listener, progress: Progress) -> None:
        without = sum(utterance.emotion is None for utterance in train)
        by_model = "are labelled by the model" if self.options.weight else "teach nothing: task.weight is 0"
        listener.say(f"{len(train) - without} training utterances have a label, {without} {by_model}")
