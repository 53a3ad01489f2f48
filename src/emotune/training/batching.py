"""Batches of an experiment: lengths of clips as training hears them, cut to fit into memory."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

from emotune.audio.preprocessing import Preprocessing
from emotune.config.recipe import Recipe
from emotune.config.training import TrainSection
from emotune.schema.manifest import Manifest
from emotune.training.build import Experiment
from emotune.training.loop.checkpoints import state_of
from emotune.training.loop.estimate import Clips, within_memory
from emotune.training.sampling import draws_of


def clips_of(recipe: Recipe, experiment: Experiment) -> Clips:
    """The training clips, padded, cut and cropped, and as slow as augmentation makes them, with their draws."""
    draws = draws_of(experiment.train, recipe.train)
    return dataclasses.replace(clips_in(recipe, experiment.train, experiment.preprocessing), draws=draws)


def clips_in(recipe: Recipe, manifest: Manifest, preprocessing: Preprocessing) -> Clips:
    """The clips of a manifest as the recipe's training hears them, each once."""
    augmentation = recipe.augmentation
    least_s = preprocessing.min_samples / preprocessing.sampling_rate_hz
    most_s = min(augmentation.crop_s or math.inf, preprocessing.max_duration_s)
    slowest = math.exp(augmentation.speed or 0.0)
    durations_s = [min(max(utterance.duration_s or 0.0, least_s), most_s) for utterance in manifest]
    longest_s = [min(duration_s * slowest, most_s) for duration_s in durations_s]
    return Clips(durations_s, longest_s, seed=recipe.seed)


def fitting(recipe: Recipe, experiment: Experiment, checkpoint: Path | None = None) -> TrainSection:
    """The train section with batches that fit into its ``memory_gb``, where it has one, or those of its checkpoint.

    Raises:
        ConfigError: when not even one clip fits.
    """
    train = recipe.train
    if train.memory_gb is None:
        return train
    if checkpoint is not None:
        state = state_of(checkpoint)
        return train.model_copy(update={"batch_seconds": state.batch_seconds, "accumulate": state.accumulate})
    return within_memory(train, experiment.model, experiment.task, clips_of(recipe, experiment))
