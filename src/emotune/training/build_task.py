"""The task of a recipe: losses of labels with their class weights, and what takes their place or joins them."""

from __future__ import annotations

from collections import defaultdict

import torch
from torch import Tensor

from emotune.config.recipe import Recipe
from emotune.config.training import VoteTargetsSection
from emotune.data.vote_targets import VoteTargets
from emotune.errors import ConfigError, CorpusError
from emotune.losses import LOSSES
from emotune.losses.base import BatchLoss, Loss
from emotune.losses.combined import CombinedLoss
from emotune.losses.cross_entropy import balanced_class_weights, effective_number_class_weights
from emotune.losses.options import ClassWeightOptions
from emotune.metrics.division import FloatArray
from emotune.models.heads import HEADS
from emotune.schema.labels import LabelSpace
from emotune.schema.manifest import Manifest
from emotune.training.adversarial_task import AdversarialTask
from emotune.training.gradient_reversal import LOSS, GradientReversal
from emotune.training.label_task import LabelTask
from emotune.training.lesson import Lesson
from emotune.training.sampling import mean_times
from emotune.training.state_mix import StateMix


def build_reversal(recipe: Recipe, train: Manifest) -> GradientReversal | None:
    """Gradient reversal of the recipe; None where it asks for none.

    Raises:
        CorpusError: where the training split has no two groups.
    """
    section = recipe.train.gradient_reversal
    return None if section is None else GradientReversal(section, train)


def build_loss(
    recipe: Recipe,
    space: LabelSpace,
    train: Manifest,
    *,
    times: float = 1.0,
    reversal: GradientReversal | None = None,
) -> CombinedLoss:
    """The losses of positive weight, where the label space has something for the head that they teach.

    Class weights come from the training split as it is sampled. All weights are multiplied by ``times``; with 0 there
    is no loss of labels. ``reversal`` adds the loss of its discriminator.

    Raises:
        CorpusError: for a class without training utterance, or a loss without any truth to learn from.
    """
    losses: dict[str, tuple[float, Loss | BatchLoss]] = {}
    if not times:
        return CombinedLoss(losses)
    drawn = mean_times(train, recipe.train.sampling)
    for name, section in recipe.loss:
        options = section.model_dump()
        weight = options.pop("weight")
        if not weight or not (head := HEADS[LOSSES[name].head](space)).size:
            continue
        if isinstance(section, ClassWeightOptions):
            del options["effective_beta"], options["balanced_power"]
            options["class_weights"] = class_weights(section, train, space, times=drawn)
        truth = head.truths[LOSSES[name].truth]
        if truth.missing is not None and not any(map(truth.is_known, train)):
            raise CorpusError(f"loss.{name} {truth.missing}")
        losses[name] = (times * weight, LOSSES[name](**options))
    if not losses:
        raise ConfigError("loss: every weight is 0, so there is nothing to train; give one a positive weight.")
    if reversal is not None:
        losses[LOSS] = (reversal.section.weight, reversal.loss)
    return CombinedLoss(losses)


def vote_targets(recipe: Recipe, space: LabelSpace) -> VoteTargets | None:
    """Changes of the votes that are learnt from; None where the recipe asks for none."""
    section = recipe.train.vote_targets
    return None if section == VoteTargetsSection() else VoteTargets(space.classes, **section.model_dump())


def build_task(recipe: Recipe, loss: CombinedLoss, lesson: Lesson | None = None) -> LabelTask:
    """Builds the task of the recipe's losses: that of its lesson, or on clips as they are, or attacked."""
    if lesson is not None:
        return lesson.task(loss)
    section, mixing = recipe.train.adversarial, recipe.augmentation.mix_states
    mix = mixing and StateMix(**mixing.model_dump())
    return LabelTask(loss, mix=mix) if section is None else AdversarialTask(loss, mix=mix, **section.model_dump())


def class_weights(
    section: ClassWeightOptions, train: Manifest, space: LabelSpace, *, times: FloatArray
) -> Tensor | None:
    """The weights of ``class_weights`` of a loss, shape (classes,); None = all one.

    Args:
        section: of the loss in the recipe.
        train: the training split.
        space: the model's classes.
        times: how often each utterance comes in an epoch, shape (utterances,).

    Raises:
        CorpusError: for a class without training utterance.
    """
    counted = ((utterance.emotion, time) for utterance, time in zip(train, times.tolist(), strict=True))
    of_class: dict[str | None, float] = defaultdict(float)
    for name, time in counted:
        of_class[name] += time
    counts = torch.tensor([of_class[name] for name in space.classes])
    if not bool((counts > 0).all()):
        absent = [name for name, count in zip(space.classes, counts.tolist(), strict=True) if not count]
        raise CorpusError(
            f"No training utterance of class {', '.join(absent)}; drop it with data.drop, or change the splits."
        )
    if section.class_weights == "effective_number":
        return effective_number_class_weights(counts, beta=section.effective_beta)
    return balanced_class_weights(counts, power=section.balanced_power) if section.class_weights == "balanced" else None
