"""Options of the tasks that fine-tune a model beside, or in place of, the labels; see ``TASKS``."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import Field, field_validator, model_validator

from emotune.section import Section, UnexpandedPath

if TYPE_CHECKING:
    from emotune.config.recipe import Recipe


class LessonOptions(Section):
    """Options of such a task: training utterances without a label are heard too, and those beyond data.budget.

    So is ``data.unlabelled``.
    """

    @property
    def teachers(self) -> Mapping[str, float]:
        """Models whose answers are learnt with their shares of them, summing to one; none here."""
        return {}

    def of_fold(self, fold: str) -> Self:
        """The options for one fold of a protocol."""
        return self


class DistillationOptions(LessonOptions):
    """A student learns what a teacher says of the training utterances, whatever their labels.

    The teacher hears each training utterance once, as it is, before training begins, and no other.
    """

    teacher: str | dict[str, float]
    """a run, a model folder or a name such as mini; or several with their weights, {runs/mean: 0.6, runs/std: 0.4}"""
    temperature: float = Field(default=2.0, gt=0)
    """softens both distributions over the classes; their divergence counts its square"""
    soft: float = Field(default=1.0, ge=0)
    """weight of KL(teacher || student) over the classes"""
    dimensions: float = Field(default=1.0, ge=0)
    """weight of the squared difference to the teacher's dimensions, on the unit scale"""
    embedding: float = Field(default=0.0, ge=0)
    """weight of the squared difference between how alike clips' embeddings are, the student's and the teacher's"""
    labels: float = Field(default=0.0, ge=0)
    """what the recipe's own losses are multiplied by; 0 = no training label is read"""
    cache: UnexpandedPath = Path("~/.cache/emotune/teachers")
    """a folder for the teacher's answers"""

    @field_validator("teacher", mode="before")
    @classmethod
    def _name_or_names(cls, teacher: object) -> object:
        several = isinstance(teacher, Mapping) and teacher and all(map(_is_weight, teacher.values()))
        if not (teacher and isinstance(teacher, str)) and not several:
            raise ValueError(
                "expected a run, a model folder or a name such as mini, or several with weights above 0, such as"
                " {runs/mean: 0.6, runs/std: 0.4}"
            )
        return teacher

    @model_validator(mode="after")
    def _teaches(self) -> DistillationOptions:
        if not (self.soft or self.dimensions or self.embedding):
            raise ValueError("soft, dimensions and embedding are all 0: the teacher teaches nothing; give one a weight")
        return self

    def of_fold(self, fold: str) -> Self:
        """Takes a fold's own teacher, from a folder that holds one for each fold."""
        own = {
            str(path) if (path := Path(name) / fold).is_dir() else name: share for name, share in self._named.items()
        }
        teacher = next(iter(own)) if isinstance(self.teacher, str) else own
        return self.model_copy(update={"teacher": teacher})

    @property
    def teachers(self) -> dict[str, float]:
        """Models with their shares of the answers, summing to one."""
        return {name: weight / sum(self._named.values()) for name, weight in self._named.items()}

    @property
    def _named(self) -> dict[str, float]:
        return {self.teacher: 1.0} if isinstance(self.teacher, str) else self.teacher


class SemiSupervisedOptions(LessonOptions):
    """The model labels training utterances without a label itself, where it is sure, and learns from them.

    It labels such a clip as it is, and learns from it as ``augmentation`` changes it.
    """

    weight: float = Field(default=1.0, ge=0)
    """of the cross-entropy with the labels that the model gave; 0 = labels alone, over the same steps"""
    precision: float = Field(default=0.9, gt=0, le=1)
    """share of right answers above the threshold, which development sets after every epoch"""
    threshold: Annotated[float, Field(gt=0, le=1)] | None = None
    """a fixed confidence in place of precision; 0.95 is that of FixMatch"""


def _is_weight(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < math.inf


def lesson_faults(recipe: Recipe) -> Iterator[str]:
    """Keys of a recipe that do not go with its task, a sentence each."""
    task: Any = recipe.task
    if not isinstance(task, LessonOptions):
        return
    if recipe.data.manifest is None and recipe.data.corpus is None:
        yield "data.unlabelled: development needs labels, to choose the epoch: give data.manifest, or corpus and root"
    name = task.name  # pyright: ignore[reportAttributeAccessIssue] (the name of an entry stands beside its options)
    sampling = recipe.train.sampling.by
    if recipe.train.adversarial is not None:
        yield f"task: {name} and train.adversarial are two tasks: leave out either"
    if sampling in ("class", "corpus_and_class"):
        yield (
            f"train.sampling.by: {sampling} draws classes, and task: {name} hears utterances without one; use natural"
            " or corpus"
        )
    if recipe.train.gradient_reversal is not None or recipe.augmentation.mix_states is not None:
        yield f"train.gradient_reversal and augmentation.mix_states do not go with task: {name}: leave them out"
    if recipe.train.curriculum is not None:
        yield f"train.curriculum goes by votes, and task: {name} hears utterances without any: leave it out"
    if isinstance(task, DistillationOptions) and not task.labels and recipe.train.start_from_probe:
        yield "train.start_from_probe learns from labels, of which task.labels: 0 reads none: give labels a weight"
    if isinstance(task, SemiSupervisedOptions):
        if recipe.augmentation.mix is not None:
            yield f"augmentation.mix mixes labels, which task: {name} has not got yet: leave it out"
        if recipe.train.average is not None and task.threshold is None and task.weight:
            yield (
                f"train.average: development hears the averaged model, and in task: {name} the other one labels; leave"
                " train.average out, or give task.threshold"
            )
        if not recipe.data.classes:
            yield f"task: {name} labels classes, and data.classes is false; use task: distillation for dimensions"
