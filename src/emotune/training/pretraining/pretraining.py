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
from emotune.models.emotion_model import EmotionModel
from emotune.runtime.progress import Progress, silent
from emotune.schema.manifest import Manifest
from emotune.training.loop.task import Task


@dataclass(frozen=True)
class PretrainingData:
    """Recordings of pre-training, none of which has a label.

    Args:
        learnt: the clips that are learnt from.
        held_out: clips of the same speakers that are not, by which the epoch is chosen.
        preprocessing: of both.
        progress: shows how far what is worked out beforehand is.
    """

    learnt: Manifest
    held_out: Manifest
    preprocessing: Preprocessing
    progress: Progress = silent


@dataclass(frozen=True)
class Pretraining:
    """Parts that a task builds of a recipe.

    Args:
        model: what trains, with the encoder in it.
        task: what it learns.
        dataset: of the clips that are learnt from.
        score: model -> figures on the clips that are held out, by name.
        metric: the one of them whose highest value chooses the epoch.
        encoder: model -> the encoder that others take.
        information: further lines for the card, by name.
        kept: model -> a model without heads that others start from, in place of the encoder; None = there is none.
        prepare: called with the model on its device before the first step, not where a run goes on.
    """

    model: nn.Module
    task: Task[Any]
    dataset: EmotionDataset
    score: Callable[[Any], Mapping[str, float]]
    metric: str
    encoder: Callable[[Any], Backbone]
    information: Mapping[str, Any] = field(default_factory=dict)
    kept: Callable[[Any], EmotionModel] | None = None
    prepare: Callable[[Any], None] | None = None


Builder = Callable[[Recipe, Backbone, PretrainingData], Pretraining]
"""An entry of ``TASKS``: from a recipe with that task, its encoder and its recordings."""
