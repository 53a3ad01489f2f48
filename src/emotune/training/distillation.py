"""Distillation: a student is taught a teacher's answers to the training utterances."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from emotune.batch import Batch, Output
from emotune.config.lessons import DistillationOptions
from emotune.config.recipe import Recipe
from emotune.errors import ConfigError, CorpusError
from emotune.losses.combined import CombinedLoss, at_least_some
from emotune.runtime.listener import Listener
from emotune.runtime.progress import Progress
from emotune.schema.calibration import with_temperature
from emotune.schema.labels import LabelSpace
from emotune.schema.manifest import Manifest
from emotune.schema.truth import Numbers, Truth
from emotune.schema.utterance import Utterance
from emotune.training.label_task import LabelTask
from emotune.training.lesson import Lesson
from emotune.training.loop.task import WholeLoss
from emotune.training.teacher import FloatArray, Teacher, mean_answers

CLASSES, DIMENSIONS, EMBEDDING = "teacher_classes", "teacher_dimensions", "teacher_embedding"
"""Truths, and losses of the same names."""


class DistillationTask(LabelTask):
    """Compares a student's answers with those of a teacher, and adds the losses of the labels.

    Args:
        loss: those of the recipe.
        temperature: that the teacher's distributions were softened by.
        weights: of the losses by the name of their truth; those of 0 are left out.

    Reference:
        Soft targets and their factor of squared temperature: Hinton et al. (2015), arXiv 1503.02531, section 2. The
        embedding's loss compares cosines of pairs, as Park et al. (2019), arXiv 1904.05068, compare distances; that
        both embeddings are centred over the clips of a step first is ours.
    """

    def __init__(self, loss: CombinedLoss, *, temperature: float, weights: Mapping[str, float]) -> None:
        super().__init__(loss)
        self.temperature = temperature
        self.weights = {name: weight for name, weight in weights.items() if weight}

    def normalisers(self, batch: Batch) -> Mapping[str, Tensor]:
        known = {name: _known(batch.targets[name]).float().sum() for name in self.weights if name != EMBEDDING}
        return {**super().normalisers(batch), **known}

    def mean_losses(self, output: Output, batch: Batch, normalisers: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        found = dict(super().mean_losses(output, batch, normalisers))
        for name, values in ((CLASSES, self._of_classes), (DIMENSIONS, self._of_dimensions)):
            if name in self.weights:
                known = _known(batch.targets[name])
                truth = batch.targets[name].masked_fill(~known[:, None], 0)
                total = (values(output, truth) * known).sum()
                found[name] = self.weights[name] * total / at_least_some(normalisers[name])
        return found

    def _of_classes(self, output: Output, truth: Tensor) -> Tensor:
        """Squared temperature times KL(teacher || student) of each clip, shape (batch,)."""
        said = F.log_softmax(output.heads["classes"].float() / self.temperature, dim=1)
        divergence = (torch.special.xlogy(truth, truth) - truth * said).sum(dim=1)
        return self.temperature**2 * divergence

    def _of_dimensions(self, output: Output, truth: Tensor) -> Tensor:
        return (output.heads["dimensions"].float() - truth).square().mean(dim=1)

    @property
    def whole_losses(self) -> Mapping[str, WholeLoss[Output]]:
        own = WholeLoss[Output](_features, _embedding, partial(_of_pairs, weight=self.weights.get(EMBEDDING, 0.0)))
        return {**super().whole_losses, **({EMBEDDING: own} if EMBEDDING in self.weights else {})}


def _known(truth: Tensor) -> Tensor:
    return ~torch.isnan(truth).any(dim=1)


def _features(output: Output) -> Tensor:
    return output.features.flatten(1)


def _embedding(batch: Batch) -> Tensor:
    return batch.targets[EMBEDDING]


def _of_pairs(student: Tensor, teacher: Tensor, *, weight: float) -> Tensor:
    """Mean squared difference of the cosines of all pairs of clips, each shape (clips, features); 0 of one clip."""
    clips = len(student)
    difference = _cosines(student.float()) - _cosines(teacher.float())
    return weight * difference.square().sum() / max(clips * (clips - 1), 1)


def _cosines(features: Tensor) -> Tensor:
    """Cosines of pairs of clips around their mean, shape (clips, clips), the diagonal zero."""
    unit = F.normalize(features - features.mean(dim=0), dim=1)
    return (unit @ unit.T).fill_diagonal_(0)


Rows = dict[str, dict[str, Numbers]]


def _row_of(rows: Rows, name: str, utterance: Utterance) -> Numbers:
    return rows[utterance.utterance_id][name]


class Distillation(Lesson):
    """Teacher and student: the teacher's answers become truths of the training utterances.

    Raises:
        ConfigError: for a teacher that does not know what the student is to learn.
    """

    def __init__(self, recipe: Recipe, space: LabelSpace, manifest: Manifest) -> None:
        super().__init__(recipe, space, manifest)
        options: Any = recipe.task
        assert isinstance(options, DistillationOptions)
        self.options = options
        self.labels = options.labels
        taught = LabelSpace(space.classes if options.soft else (), space.dimensions if options.dimensions else {})
        if taught == LabelSpace() and not options.embedding:
            raise ConfigError(
                "task: distillation teaches nothing: the model has neither classes nor dimensions to soften"
            )
        self.taught = taught
        self.teachers = {Teacher(name, cache=options.cache): share for name, share in options.teachers.items()}
        for teacher in self.teachers:
            teacher.check(taught)
        self.answers = np.zeros((0, 0), dtype=np.float32)
        self.rows: Rows = {}

    def task(self, loss: CombinedLoss) -> LabelTask:
        weights = {
            CLASSES: self.options.soft if self.taught.classes else 0.0,
            DIMENSIONS: self.options.dimensions if self.taught.dimensions else 0.0,
            EMBEDDING: self.options.embedding,
        }
        return DistillationTask(loss, temperature=self.options.temperature, weights=weights)

    @property
    def truths(self) -> Mapping[str, Truth]:
        sizes = {CLASSES: self.taught.classes, DIMENSIONS: self.taught.dimensions, EMBEDDING: self.options.embedding}
        return {name: Truth(partial(_row_of, self.rows, name)) for name, wanted in sizes.items() if wanted}

    def prepare(self, train: Manifest, *, listener: Listener, progress: Progress) -> None:
        said = [teacher.answers(train, progress=progress) for teacher in self.teachers]
        self.answers = mean_answers(self.teachers, self.taught, said)
        size = len(self.taught.classes)
        softened = with_temperature(self.answers[:, :size], self.options.temperature)
        parts: dict[str, Any] = {CLASSES: softened, DIMENSIONS: self.answers[:, size:]}
        if self.options.embedding:
            parts[EMBEDDING] = self._embeddings(train, progress)
        for row, utterance in enumerate(train):
            self.rows[utterance.utterance_id] = {name: tuple(values[row].tolist()) for name, values in parts.items()}
        silent = int(np.isnan(self.answers[:, :size]).any(axis=1).sum())
        if size and silent == len(train):
            raise CorpusError("task.teacher holds every training utterance to be of a class that the student lacks.")
        listener.say(
            f"{', '.join(teacher.name for teacher in self.teachers)} taught {len(train) - silent} of {len(train)}"
            " training utterances" + (f"; {silent} seem to be of classes that the student lacks" if silent else "")
        )
        for teacher in self.teachers:
            teacher.forget()

    def _embeddings(self, train: Manifest, progress: Progress) -> FloatArray:
        """Embeddings of all teachers side by side, each standardised over the training utterances, by their shares."""
        parts = []
        for teacher, share in self.teachers.items():
            own = teacher.embeddings(train, progress=progress)
            spread = own.std(axis=0)
            standard = (own - own.mean(axis=0)) / np.where(spread > 0, spread, 1)
            parts.append(np.sqrt(share / own.shape[1]) * standard)
        return np.concatenate(parts, axis=1).astype(np.float32)

    @property
    def prior(self) -> Mapping[str, float] | None:
        if self.labels or not self.taught.classes:
            return None
        shares = np.nanmean(self.answers[:, : len(self.space.classes)], axis=0)
        return dict(zip(self.space.classes, shares.tolist(), strict=True))

    @property
    def provenance(self) -> Mapping[str, Any]:
        return {
            "teachers": [
                {"name": own.name, "share": share, "fingerprint": own.fingerprint, "licence": own.licence}
                for own, share in self.teachers.items()
            ]
        }
