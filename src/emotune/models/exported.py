"""Folders of exported models: what is beside the graph, and what the graph must be to fit it. Needs no torch."""

# pyright: strict, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from emotune.audio import SAMPLING_RATE_HZ
from emotune.audio.preprocessing import Preprocessing
from emotune.choices import ExportPrecision
from emotune.errors import EmotuneError, ModelError, TableError, quoted
from emotune.io.tables import read_json
from emotune.models.folder import CONFIG, GRAPH, HEADS_GRAPH, PREPROCESSOR, digest_of
from emotune.schema.calibration import Calibration
from emotune.schema.labels import LabelSpace

SCHEMA = "emotune-onnx/1"
WAVEFORMS, LENGTHS = "waveforms", "lengths"
PROBABILITIES, EMBEDDING = "probabilities", "embedding"
PRECISIONS: tuple[str, ...] = get_args(ExportPrecision)
_FILES = (CONFIG, PREPROCESSOR, GRAPH, HEADS_GRAPH)
CURE = "The exported folder is incomplete or was changed: copy it again, or export the model again."


@dataclass(frozen=True)
class ExportedModel:
    """An exported model as its folder describes it.

    Args:
        folder: that holds the graphs.
        conditions: of the model's config, each with the ``width`` of its vectors.
        fingerprint: SHA-256 over config, preprocessing and graphs.
    """

    folder: Path
    label_space: LabelSpace
    preprocessing: Preprocessing
    calibration: Calibration
    conditions: Mapping[str, Mapping[str, Any]]
    config: Mapping[str, Any]
    fingerprint: str

    @property
    def source_preprocessing(self) -> Preprocessing:
        """Preprocessing of the model that was exported: the graph itself normalises as that says."""
        about = self.config.get("export") or {}
        return dataclasses.replace(self.preprocessing, normalize=about.get("normalization", "none"))

    @property
    def inputs(self) -> list[str]:
        """Inputs of the whole graph, in their order."""
        return [WAVEFORMS, LENGTHS, *self.conditions]

    @property
    def answers(self) -> list[str]:
        """Outputs of both graphs, in their order; the whole one ends with the embedding."""
        return answers_of(self.label_space)


def answers_of(space: LabelSpace) -> list[str]:
    """Outputs of a graph by name: probabilities where there are classes, then the dimensions."""
    return [*([PROBABILITIES] if space.classes else []), *space.dimensions]


def is_exported(folder: Path) -> bool:
    """Tells whether a model folder holds a graph, by its config."""
    try:
        return read_json(folder / CONFIG, "The model's config").get("schema") == SCHEMA
    except TableError:
        return False


def read_exported(folder: Path) -> ExportedModel:
    """Reads the description of an exported model.

    Raises:
        ModelError: for a file that is missing or does not say what it should.
    """
    try:
        config = read_json(folder / CONFIG, "The model's config")
        preprocessing = read_json(folder / PREPROCESSOR, "The model's preprocessing")
    except TableError as error:
        raise ModelError(f"{error} {CURE}") from error
    for name in (GRAPH, HEADS_GRAPH):
        if not (folder / name).is_file():
            raise ModelError(f"{folder / name} is missing. {CURE}")
    try:
        space = LabelSpace.from_json(config)
        heard = Preprocessing.from_json(preprocessing)
        calibration = Calibration.from_json(config.get("calibration"))
        conditions = _conditions(config)
    except (EmotuneError, KeyError, TypeError, ValueError) as error:
        reason = str(error) if isinstance(error, EmotuneError) else f"{type(error).__name__}: {error}."
        raise ModelError(f"{folder}: {reason} {CURE}") from error
    if heard.sampling_rate_hz != SAMPLING_RATE_HZ:
        raise ModelError(f"{folder / PREPROCESSOR}: sampling_rate_hz must be {SAMPLING_RATE_HZ}. {CURE}")
    if not space.classes and not space.dimensions:
        raise ModelError(f"{folder / CONFIG} names neither classes nor dimensions. {CURE}")
    return ExportedModel(
        folder, space, heard, calibration, conditions, config, digest_of([folder / name for name in _FILES])
    )


def _conditions(config: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    conditions = config.get("conditions") or {}
    if not isinstance(conditions, dict) or not all(isinstance(about, dict) for about in conditions.values()):
        raise ModelError(f"{CONFIG} must hold conditions by name, each with its width, got {quoted(conditions)}.")
    for name, about in conditions.items():
        width = about.get("width")
        if not isinstance(width, int) or isinstance(width, bool) or width < 1:
            raise ModelError(f"condition '{name}' has the width {width!r}, expected a whole number from 1.")
    return conditions
