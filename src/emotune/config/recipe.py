"""A recipe: its sections together, and what does not go together."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, model_validator

from emotune.config.data import DataSection
from emotune.config.entries import Chosen, EntrySection
from emotune.config.lessons import LessonOptions, lesson_faults
from emotune.config.model import ModelSection
from emotune.config.sampling import SamplingSection
from emotune.config.start import with_start
from emotune.config.tasks import TASKS, PretrainingOptions, pretraining_faults
from emotune.config.training import AugmentationSection, LossSection, ProbeSection, TrainSection, VoteTargetsSection
from emotune.losses.options import ClassWeightOptions
from emotune.registry import unknown_name_message
from emotune.schema.gender import GENDER
from emotune.section import Section

LARGEST_SEED = 2**32 - 1  # of NumPy's generators


class Recipe(Section):
    """A whole experiment.

    ``protocol`` is a name from `emotune protocols`, or a file: it makes the splits, in place of ``data.splits``.
    """

    name: str = Field(min_length=1)
    """of run folder and report"""
    description: str = ""
    """what the experiment is, in the words of whoever wrote it"""
    notice: str | None = None
    """a warning that every report and card repeats"""
    seed: int = Field(default=0, ge=0, le=LARGEST_SEED)
    """weights of new layers, order of batches, augmentation"""
    protocol: str | None = None
    """a name from `emotune protocols`, or a file: classes, splits, folds"""
    task: Annotated[EntrySection | None, Chosen(TASKS, example="{name: distillation, teacher: mini}")] = None
    """pre-training without labels (vesper, views), or beside the labels distillation or semi_supervised; null = none"""
    data: DataSection
    """what is learnt from"""
    model: ModelSection
    """the encoder and what is built on it"""
    augmentation: AugmentationSection = AugmentationSection()
    """what training does to a clip"""
    loss: LossSection = LossSection()
    """what training minimises"""
    train: TrainSection = TrainSection()
    """how fine-tuning goes"""
    probe: ProbeSection = ProbeSection()
    """linear models on frozen features"""

    @property
    def pretrains(self) -> bool:
        """Tells if the task is pre-training, which makes an encoder."""
        return isinstance(self.task, PretrainingOptions)

    @model_validator(mode="before")
    @classmethod
    def _started(cls, data: Any) -> Any:
        return with_start(data)

    def _faults_of_probe(self) -> list[str]:
        faults: list[str] = []
        probe = self.probe
        if self.protocol is not None and probe.leave_out is not None:
            faults.append("protocol says what is held out: leave out either protocol or probe.leave_out")
        if probe.copies and (probe.leave_out is not None or self.augmentation.mix is not None):
            other = "augmentation.mix" if probe.leave_out is None else "probe.leave_out"
            faults.append(
                f"{other} does not go with augmented copies, and probe.copies is {probe.copies}, here or in the recipe"
                f" that this comes from: set probe.copies to 0, or leave out {other}"
            )
        if probe.standardize == "speaker" and probe.leave_out is not None:
            faults.append("probe.standardize=speaker does not go with probe.leave_out: leave out either")
        return faults

    @model_validator(mode="after")
    def _fits_together(self) -> Recipe:
        faults = list(pretraining_faults(self)) if self.pretrains else self._faults()
        if faults:
            raise ValueError("; ".join(faults))
        return self

    def _faults(self) -> list[str]:
        """Keys that do not go together in fine-tuning and probing, a sentence each."""
        faults = self._task_faults() + self._unlabelled_faults() + self._faults_of_probe()
        unfreeze = self.train.unfreeze
        if unfreeze is not None and self.model.backbone.train in ("none", 0):
            faults.append(
                "train.unfreeze: model.backbone.train leaves nothing to unfreeze; use all or a number of layers"
            )
        if unfreeze is not None and unfreeze.last_change >= self.train.epochs:
            name = "stages: the last epoch" if unfreeze.stages else "start_epoch"
            faults.append(
                f"train.unfreeze.{name} is {unfreeze.last_change}, counted from 0, expected less than train.epochs"
                f" = {self.train.epochs}: {'it would never begin' if unfreeze.stages else 'nothing would ever train'}"
            )
        if self.train.start_from_probe and self.model.hidden_size is not None:
            faults.append("train.start_from_probe needs a linear head: leave model.hidden_size out")
        if self.train.sampling.by in ("class", "corpus_and_class"):
            faults += self._sampled_by_class()
        faults += self._schedule_faults()
        if self.train.gradient_reversal is not None and self.model.layer_mix == "varan":
            faults.append("train.gradient_reversal goes by one pooled vector, and layer_mix: varan has one a layer")
        if self.data.target == GENDER and (self.loss.gender.weight or dict(self.model.conditions)[GENDER]):
            faults.append(
                "data.target: gender learns gender already: leave out loss.gender and model.conditions.gender"
            )
        faults += self._vote_faults()
        of_classes = ["uar", "macro_f1", "macro_f1_true_classes", "micro_f1", "accuracy", "vote_similarity"]
        metrics = of_classes if self.data.classes else []
        if self.data.dimensions:
            metrics = [*metrics, "ccc", *(f"ccc.{name}" for name in self.data.dimensions)]
        if self.train.metric not in metrics:
            faults.append("train.metric: " + unknown_name_message("metric", self.train.metric, metrics))
        if self.train.fsdp:
            faults += self._not_spread()
        return [*faults, *lesson_faults(self)]

    def _task_faults(self) -> list[str]:
        """A task of another package that nothing would ask for: its options say what kind it is."""
        if self.task is None or isinstance(self.task, LessonOptions):
            return []
        kinds = " nor of ".join(f"{kind.__module__}.{kind.__name__}" for kind in (PretrainingOptions, LessonOptions))
        return [
            f"task: the options of {self.task.name} are neither a subclass of {kinds}, so that it would do nothing;"
            " tell the makers of that package"
        ]

    def _unlabelled_faults(self) -> list[str]:
        """Recordings without labels, of which only a task learns."""
        if self.data.unlabelled and self.task is None:
            return ["data.unlabelled: nothing is learnt of recordings without labels but by a task, such as vesper"]
        return []

    def _vote_faults(self) -> list[str]:
        """Faults of what is asked of votes without a loss that learns from them."""
        learnt = self.data.classes and any(
            options.weight and options.class_truth == "votes" for _, options in self.loss
        )
        if learnt:
            return []
        faults, cure = [], "give loss.soft_cross_entropy.weight or loss.kl.weight a positive value"
        if self.data.votes.no_agreement == "votes":
            faults.append(
                "data.votes.no_agreement: votes keeps utterances without a label for a loss of votes, and there is"
                f" none; {cure}, or use leave_out"
            )
        if self.train.vote_targets != VoteTargetsSection():
            faults.append(f"train.vote_targets changes what a loss of votes learns, and there is none; {cure}")
        return faults

    def _schedule_faults(self) -> list[str]:
        """Faults of a curriculum or a second stage, which must change within the epochs that there are."""
        faults: list[str] = []
        curriculum = self.train.curriculum
        if curriculum is not None and self.train.sampling.by is not None:
            faults.append("train.curriculum and train.sampling.by both choose what an epoch holds: leave out either")
        if curriculum is not None and curriculum.epochs[-1] >= self.train.epochs:
            faults.append(
                f"train.curriculum: all utterances come from epoch {curriculum.epochs[-1]} on, counted from 0, expected"
                f" less than train.epochs = {self.train.epochs}: some would never be heard"
            )
        if self.train.sampling.from_epoch >= self.train.epochs:
            faults.append(
                f"train.sampling.from_epoch is {self.train.sampling.from_epoch}, counted from 0, expected less than"
                f" train.epochs = {self.train.epochs}"
            )
        return faults

    def _not_spread(self) -> list[str]:
        """Options that need whole weights in each process."""
        faults = []
        if self.train.average is not None:
            faults.append("train.fsdp has no whole weights to average: set train.average to null")
        if self.train.adversarial is not None:
            faults.append("train.fsdp has no whole weights to attack: set train.adversarial to null")
        if self.model.merged:
            faults.append("train.fsdp has no whole weights to merge: choose another model.adapter")
        return faults

    def _sampled_by_class(self) -> list[str]:
        """Options that do not go with sampling by class."""
        if not self.data.classes:
            return [
                f"train.sampling.by: {self.train.sampling.by} draws classes, and data.classes is false; use natural"
            ]
        if self.train.sampling.model_copy(update={"from_epoch": 0, "repeats": True}) != SamplingSection(by="class"):
            return []
        weighted = {name: loss for name, loss in self.loss if isinstance(loss, ClassWeightOptions)}
        return [
            f"train.sampling: balanced and loss.{name}.class_weights: {loss.class_weights} would make up for rare"
            f" classes twice; give loss.{name}.class_weights=none, or use train.sampling: natural"
            for name, loss in weighted.items()
            if loss.weight and loss.class_weights != "none"
        ]
