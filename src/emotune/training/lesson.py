"""Lesson: what a recipe's task adds to fine-tuning, from the utterances that are heard to the loop's task."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from emotune.config.lessons import LessonOptions
from emotune.config.recipe import Recipe
from emotune.config.tasks import TASKS
from emotune.losses.combined import CombinedLoss
from emotune.runtime.listener import Listener
from emotune.runtime.progress import Progress
from emotune.schema.labels import LabelSpace
from emotune.schema.manifest import Manifest
from emotune.schema.truth import Truth
from emotune.training.label_task import LabelTask


class Lesson(ABC):
    """A task that fine-tunes a model: an entry of ``TASKS`` with ``LessonOptions``.

    Args:
        recipe: whose task it is.
        space: classes and dimensions of the model.
        manifest: with its splits; of the training utterances some may have no label.
    """

    labels: float = 1.0
    """what the recipe's own losses of the labels are multiplied by; 0 = there are none"""
    hears_unchanged: bool = False
    """batches hold the clips before augmentation too, as ``Batch.unchanged``"""

    def __init__(self, recipe: Recipe, space: LabelSpace, manifest: Manifest) -> None:
        self.recipe = recipe
        self.space = space

    def check(self, train: Manifest) -> None:  # noqa: B027 (most lessons can be learnt from any)
        """Refuses training utterances that it cannot learn from, before anything is done with them.

        Raises:
            CorpusError: for training utterances that it cannot learn from.
        """

    @property
    def truths(self) -> Mapping[str, Truth]:
        """Further truths of the training utterances, known once it is prepared."""
        return {}

    @abstractmethod
    def task(self, loss: CombinedLoss) -> LabelTask:
        """Builds the loop's task on the recipe's own losses."""

    @abstractmethod
    def prepare(self, train: Manifest, *, listener: Listener, progress: Progress) -> None:
        """Does what must be done before training, in every process; it may take long.

        Raises:
            CorpusError: for training utterances that it cannot teach.
        """

    @property
    def prior(self) -> Mapping[str, float] | None:
        """Class -> share that training teaches, once it is prepared; None = that of the labels."""
        return None

    @property
    def provenance(self) -> Mapping[str, Any]:
        """Facts of a run; the licences of ``teachers`` are repeated on the card."""
        return {}


def hears_unlabelled(recipe: Recipe) -> bool:
    """Tells if training utterances without a label are heard too."""
    return isinstance(recipe.task, LessonOptions)


def lesson_of(recipe: Recipe, space: LabelSpace, manifest: Manifest) -> Lesson | None:
    """Builds the lesson of a recipe's task; None where it learns from labels alone."""
    return TASKS[recipe.task.name](recipe, space, manifest) if isinstance(recipe.task, LessonOptions) else None
