"""Contract of a recipe's task: all that pre-training an encoder works with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from emotune.audio.preprocessing import Preprocessing
from emotune.config.recipe import Recipe
from emotune.data.dataset import EmotionDataset
from emotune.models.backbones.base import Backbone
from emotune.schema.manifest import Manifest
from emotune.training.loop.task import Task


@dataclass(frozen=True)
class PretrainingData:
    """Recordings of pre-training, none of which has a label.

    Args:
        learnt: the clips that are learnt from.
        held_out: clips of the same speakers that are not, by which the epoch is chosen.
        preprocessing: of both.
    """

    learnt: Manifest
    held_out: Manifest
    preprocessing: Preprocessing


@dataclass(frozen=True)
class Pretraining:
    """What a task builds of a recipe.

    Args:
        model: what trains, with the encoder in it.
        task: what it learns.
        dataset: of the clips that are learnt from.
        score: model -> a figure of that name on the clips that are held out; the epoch with the highest is kept.
        metric: its name.
        encoder: model -> the encoder that others take.
        information: further lines for the card, by name.
    """

    model: nn.Module
    task: Task[Any]
    dataset: EmotionDataset
    score: Callable[[Any], float]
    metric: str
    encoder: Callable[[Any], Backbone]
    information: Mapping[str, Any] = field(default_factory=dict)


Builder = Callable[[Recipe, Backbone, PretrainingData], Pretraining]
"""An entry of ``TASKS``: from a recipe with that task, its encoder and its recordings."""
