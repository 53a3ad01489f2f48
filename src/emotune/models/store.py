"""Models on disk: a Hub-style folder without pickle, loaded strictly."""

# pyright: strict, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import safetensors.torch

from emotune.audio import SAMPLING_RATE_HZ
from emotune.audio.preprocessing import Preprocessing
from emotune.errors import EmotuneError, ModelError, TableError
from emotune.io.hub import CARD
from emotune.io.tables import atomic_path, read_json, to_json, write_text
from emotune.models.backbones.base import Backbone
from emotune.models.emotion_model import EmotionModel
from emotune.models.folder import CONFIG, PREPROCESSOR, TRAINING_DURATION, WEIGHTS, digest_of, find_model_folder
from emotune.models.published.read import read_published
from emotune.models.weights import WeightsFile, is_finite, nothing_drawn, without_memory
from emotune.schema.calibration import Calibration

SCHEMA, MODEL_TYPE = "emotune-model/1", "emotune"
_CURE = "The model folder is incomplete or was changed: copy it again, or train again."


@dataclass(frozen=True)
class StoredModel:
    """A model as it came from disk."""

    model: EmotionModel
    preprocessing: Preprocessing
    calibration: Calibration
    config: Mapping[str, Any]
    fingerprint: str


def save_model(
    folder: Path,
    model: EmotionModel,
    preprocessing: Preprocessing,
    *,
    calibration: Calibration | None = None,
    training_prior: Mapping[str, float] | None = None,
    training_duration_s: float | None = None,
    card: str = "",
) -> None:
    """Writes config, preprocessing, weights and card; the weights last, each file atomically.

    ``config.json`` follows the Hub's conventions (``id2label``, ``label2id``, ``problem_type``) beside our own keys.
    """
    save_config(
        folder, model, calibration=calibration, training_prior=training_prior, training_duration_s=training_duration_s
    )
    write_text(folder / PREPROCESSOR, to_json(preprocessing.to_json()) + "\n")
    if card:
        write_text(folder / CARD, card)
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    with atomic_path(folder / WEIGHTS) as temporary:
        safetensors.torch.save_file(tensors, temporary, metadata={"format": "pt"})


def save_config(
    folder: Path,
    model: EmotionModel,
    *,
    calibration: Calibration | None = None,
    training_prior: Mapping[str, float] | None = None,
    training_duration_s: float | None = None,
) -> None:
    """Writes ``config.json`` alone, such as for a calibration that was fitted after the weights were saved.

    ``training_prior`` are the shares of the classes that training taught, which `emotune adjust` starts from;
    ``training_duration_s`` are the seconds that 99 % of the training clips keep to.
    """
    space = model.label_space
    config = {
        "schema": SCHEMA,
        "architectures": ["EmotionModel"],
        "model_type": MODEL_TYPE,
        "id2label": {str(index): name for index, name in enumerate(space.classes)},
        "label2id": {name: index for index, name in enumerate(space.classes)},
        "problem_type": "single_label_classification" if space.classes else "regression",
        **model.settings,
        "calibration": (calibration or Calibration()).to_json(),
        **({"training_prior": dict(training_prior)} if training_prior else {}),
        **({TRAINING_DURATION: training_duration_s} if training_duration_s else {}),
    }
    write_text(folder / CONFIG, to_json(config) + "\n")


def load_model(name: str | Path, *, shared: bool = False) -> StoredModel:
    """Loads a model folder, a run folder with a ``model`` inside, or ``hf:owner/name[@revision]`` of the Hub.

    A folder of someone else's is read as one of the ``FORMATS`` of published emotion models. Of ours the config is
    compared with the header of the weights before there is memory for a model of its sizes.

    Args:
        name: of the folder.
        shared: leave large weights of one of ours in the file and map them into memory, which other processes then
            share. The file must not be written into while the model is in use.

    Raises:
        ModelError: on anything that is missing, new, misshapen or not finite.
    """
    folder = find_model_folder(name).folder
    if not is_ours(folder):
        published = read_published(folder)
        published.announce()
        config = {"schema": SCHEMA, **published.model.settings}
        return StoredModel(published.model, published.preprocessing, Calibration(), config, digest_of(published.files))
    config = _read_config(folder / CONFIG)
    try:
        preprocessing = Preprocessing.from_json(read_json(folder / PREPROCESSOR, "The model's preprocessing"))
    except TableError as error:
        raise ModelError(f"{error} {_CURE}") from error
    except ModelError as error:
        raise ModelError(f"{folder}: {error}") from error
    try:
        calibration = Calibration.from_json(config.get("calibration"))
    except ModelError as error:
        raise ModelError(f"{folder / CONFIG}: {error} {_CURE}") from error
    build = partial(EmotionModel.from_config, config)
    try:
        without_values = without_memory(build)
    except Exception as error:  # of values that nobody wrote into a config on purpose, libraries raise what they like
        reason = error if isinstance(error, EmotuneError | TypeError | ValueError | RuntimeError) else repr(error)
        raise ModelError(f"{folder / CONFIG} does not describe a model: {reason} {_CURE}") from error
    for encoder in without_values.encoders:
        _check_fit(preprocessing, encoder, folder / PREPROCESSOR)
    weights = _fitting_weights(without_values, folder / WEIGHTS)
    model = _with_mapped(without_values, weights) if shared else None
    if model is None:
        with nothing_drawn():
            model = build()
        weights.read_into(model.state_dict())
    spoilt = [name for name, tensor in model.state_dict().items() if not is_finite(tensor)]
    if spoilt:
        raise _misfit(weights.path, [f"{name} holds NaN or infinite values" for name in spoilt])
    return StoredModel(model.eval(), preprocessing, calibration, config, fingerprint_of(folder))


def _with_mapped(model: EmotionModel, weights: WeightsFile) -> EmotionModel | None:
    """A model without values with those of the file, which stay there; None where it has others too."""
    expected = model.state_dict()
    found = weights.mapped(expected)
    model.load_state_dict({name: found[name].to(tensor.dtype) for name, tensor in expected.items()}, assign=True)
    tensors = [*model.parameters(), *model.buffers()]
    return None if any(tensor.is_meta for tensor in tensors) else model


def _read_config(path: Path) -> dict[str, Any]:
    try:
        config = read_json(path, "The model's config")
    except TableError as error:
        raise ModelError(f"{error} {_CURE}") from error
    if config.get("schema") != SCHEMA:
        raise ModelError(
            f"{path}: schema is {config.get('schema')!r}, this version reads {SCHEMA!r}. A pretrained"
            " encoder is not an emotion model yet: name it as model.backbone.checkpoint of a recipe and train."
        )
    return config


def is_ours(folder: Path) -> bool:
    """Tells whether a folder was written by emotune, or at least says so; one without a readable config is."""
    try:
        config = read_json(folder / CONFIG, "The model's config")
    except TableError:
        return (folder / CONFIG).exists()
    return "schema" in config or config.get("model_type") == MODEL_TYPE


def _check_fit(preprocessing: Preprocessing, backbone: Backbone, path: Path) -> None:
    """Clips that the preprocessing lets through must be ones that the encoder takes."""
    rate = preprocessing.sampling_rate_hz
    most = math.inf if backbone.max_samples is None else backbone.max_samples
    too_long = preprocessing.max_duration_s * rate > most + 0.5  # half a sample: seconds are rounded
    if rate != SAMPLING_RATE_HZ or preprocessing.min_samples < backbone.min_samples or too_long:
        raise ModelError(
            f"{path} does not fit the encoder, which needs sampling_rate_hz {SAMPLING_RATE_HZ}, min_samples of at least"
            f" {backbone.min_samples} and max_duration_s of at most {most / SAMPLING_RATE_HZ:g}. {_CURE}"
        )


def _fitting_weights(model: EmotionModel, path: Path) -> WeightsFile:
    """The weights, whose header names and shapes what the model has."""
    if not path.exists():
        raise ModelError(f"{path} is missing: the model folder is incomplete; train again or copy it again.")
    weights = WeightsFile.open(path)
    expected = model.state_dict()
    faults = [f"missing {name}" for name in expected if name not in weights.header]
    faults += [f"unexpected {name}" for name in weights.header if name not in expected]
    for name in expected.keys() & weights.header.keys():
        found, wanted = weights.header[name], expected[name]
        if found.shape != wanted.shape:
            faults.append(f"{name} has shape {list(found.shape)}, expected {list(wanted.shape)}")
        elif found.is_floating_point() != wanted.is_floating_point():
            faults.append(f"{name} holds {found.dtype}, expected {wanted.dtype}")
    if faults:
        raise _misfit(path, faults)
    return weights


def _misfit(path: Path, faults: Sequence[str]) -> ModelError:
    more = f" and {len(faults) - 5} more" if len(faults) > 5 else ""
    return ModelError(f"{path} does not fit its config: {'; '.join(sorted(faults)[:5])}{more}. {_CURE}")


def fingerprint_of(folder: Path) -> str:
    """SHA-256 over config, preprocessing and weights; the card may change."""
    return digest_of([folder / name for name in (CONFIG, PREPROCESSOR, WEIGHTS)])
