"""Batches of an experiment: lengths of clips as training hears them, cut to fit into memory."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

from torch import nn

from emotune.audio.preprocessing import Preprocessing
from emotune.config.recipe import Recipe
from emotune.config.training import TrainSection
from emotune.schema.manifest import Manifest
from emotune.training.build import Experiment
from emotune.training.loop.checkpoints import state_of
from emotune.training.loop.estimate import Clips, within_memory
from emotune.training.loop.task import Task
from emotune.training.sampling import draws_of


def clips_of(recipe: Recipe, experiment: Experiment) -> Clips:
    """The training clips, padded, cut and cropped, and as slow as augmentation makes them, with their draws."""
    return dataclasses.replace(
        clips_among(experiment.train, recipe, experiment.preprocessing),
        draws=draws_of(experiment.train, recipe.train),
    )


def clips_among(train: Manifest, recipe: Recipe, preprocessing: Preprocessing) -> Clips:
    """Training clips, padded, cut and cropped, and as slow as augmentation makes them, each once an epoch."""
    augmentation = recipe.augmentation
    least_s = preprocessing.min_samples / preprocessing.sampling_rate_hz
    most_s = min(augmentation.crop_s or math.inf, preprocessing.max_duration_s)
    slowest = math.exp(augmentation.speed or 0.0)
    durations_s = [min(max(utterance.duration_s or 0.0, least_s), most_s) for utterance in train]
    longest_s = [min(duration_s * slowest, most_s) for duration_s in durations_s]
    return Clips(durations_s, longest_s, seed=recipe.seed)


def fitting(recipe: Recipe, experiment: Experiment, checkpoint: Path | None = None) -> TrainSection:
    """The train section with batches that fit into its ``memory_gb``, where it has one, or those of its checkpoint.

    Raises:
        ConfigError: when not even one clip fits.
    """
    return fitting_in(recipe, experiment.model, experiment.task, clips_of(recipe, experiment), checkpoint)


def fitting_in(
    recipe: Recipe, model: nn.Module, task: Task[Any], clips: Clips, checkpoint: Path | None = None
) -> TrainSection:
    """As ``fitting``, of any model and task on its clips."""
    train = recipe.train
    if train.memory_gb is None:
        return train
    if checkpoint is not None:
        state = state_of(checkpoint)
        return train.model_copy(update={"batch_seconds": state.batch_seconds, "accumulate": state.accumulate})
    return within_memory(train, model, task, clips)
