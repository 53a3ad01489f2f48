"""Contract of a published format: a folder in, the description of an emotion model out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from torch import Tensor

from emotune.audio.preprocessing import Preprocessing
from emotune.errors import ModelError
from emotune.models.weight_files import Weights
from emotune.schema.labels import LabelSpace


@dataclass(frozen=True)
class PublishedFolder:
    """Folder of a published model as it lies on disk.

    Args:
        path: of the folder.
        config: of its config.json; empty where there is none.
        preprocessor: of its preprocessor_config.json; None where there is none.
        weights: by their published names.
        hearing: the file that ``preprocessor`` was read from, or would be.
    """

    path: Path
    config: Mapping[str, Any]
    preprocessor: Mapping[str, Any] | None
    weights: Weights
    hearing: Path


@dataclass(frozen=True)
class Description:
    """Emotion model that a published folder holds.

    Args:
        backbone: config of the encoder, with its ``model_type``.
        space: classes and dimensions, in the order of the head.
        options: of ``EmotionModel``.
        preprocessing: that the weights were trained with.
        used: names of the weights that are not the encoder's.
        head: these weights by their published names -> ours by the names of ``EmotionModel``.
        left_out: names of weights that are known and not used.
        note: what a user should know besides.
    """

    backbone: Mapping[str, Any]
    space: LabelSpace
    options: Mapping[str, Any]
    preprocessing: Preprocessing
    used: Collection[str]
    head: Callable[[Mapping[str, Tensor]], dict[str, Tensor]]
    left_out: Collection[str] = ()
    note: str = ""


class CheckpointFormat(ABC):
    """A published format of emotion models."""

    about: ClassVar[str]
    """the format in words"""

    @classmethod
    @abstractmethod
    def fits(cls, names: Collection[str]) -> bool:
        """Tells a folder of this format by the names of its weights."""

    @classmethod
    @abstractmethod
    def describe(cls, folder: PublishedFolder) -> Description:
        """Description of the model in a folder of this format.

        Raises:
            ModelError: for settings that contradict each other, the weights, or what is known of the format.
        """


def in_folder(folder: PublishedFolder, fault: str) -> ModelError:
    """Error that names the folder."""
    return ModelError(f"{folder.path}: {fault}")


def expect(folder: PublishedFolder, settings: Mapping[str, Any], key: str, expected: object) -> None:
    """Refuses a setting that is there and not as the format has it.

    Raises:
        ModelError: naming the key and both values.
    """
    found = settings.get(key, expected)
    if found != expected:
        raise in_folder(
            folder,
            f"{key} is {found!r}, and only {expected!r} is known of this format. Its answers would be others than its"
            " authors'.",
        )


def linear(weights: Mapping[str, Tensor], theirs: str, ours: str) -> dict[str, Tensor]:
    """Weight and bias of a linear layer under our name."""
    return {f"{ours}.{part}": weights[f"{theirs}.{part}"] for part in ("weight", "bias")}
