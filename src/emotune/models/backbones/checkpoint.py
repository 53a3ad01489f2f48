"""Published weights into a backbone, from a local folder or the Hugging Face Hub, or an error that says why not."""

# pyright: strict, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

import os
import pickle
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from emotune.errors import ConfigError, ModelError, TableError
from emotune.io.hub import PREFIX, Download, download_snapshot, fetch, is_hub_name, no_folder
from emotune.io.tables import read_json
from emotune.models.backbones import BACKBONES
from emotune.models.backbones.base import Backbone
from emotune.models.weights import WeightsFile, is_finite, nothing_drawn, without_memory

CURE = "Name a folder that holds one: model.backbone.checkpoint=/path/to/folder"
PUBLISHERS = ("facebook", "microsoft", "openai")
"""Whose plain names mean the Hub, unless there is a folder of that name: the encoders of the literature."""
NAMED_AT_MOST = 5
PREPROCESSOR = "preprocessor_config.json"
SAFETENSORS = ("model.safetensors", "model-*.safetensors", "*.safetensors.index.json")


def load_pretrained(
    backbone: str,
    checkpoint: str | Path,
    *,
    layers: int | None = None,
    final_norm: bool = False,
    revision: str | None = None,
    download: Download = download_snapshot,
) -> Backbone:
    """Builds a backbone with published weights, in float32 whatever they are stored in.

    Args:
        backbone: name in `BACKBONES`.
        checkpoint: a folder with config.json and model.safetensors (whole or sharded) or pytorch_model.bin, or
            ``hf:owner/name[@revision]`` on the Hugging Face Hub, which the plain names of `PUBLISHERS` stand for too.
            Where it has a preprocessor_config.json, that decides whether clips are normalised.
        layers: keep only the first ones, None = all.
        final_norm: let the last state pass the norm that stands behind the last layer.
        revision: branch, tag or commit on the Hub, None = its main branch. A local folder has none.

    Raises:
        ConfigError: if the backbone is unknown, more layers are asked than there are, or a final norm where none is.
        ModelError: if there is no such checkpoint, it is another kind of model, or a weight is missing, unexpected, of
            the wrong shape or not finite.
    """
    backbone_class = BACKBONES[backbone]
    folder = _folder(str(checkpoint), revision, download)
    config = _settings(folder / "config.json")
    found = config.get("model_type")
    if found != backbone_class.model_type:
        choose = f"Choose the backbone {found!r}, or a" if found in BACKBONES else "Choose a"
        raise ModelError(
            f"{checkpoint} holds a model of type {found!r}, but the backbone {backbone!r} needs "
            f"{backbone_class.model_type!r}. {choose} {backbone!r} checkpoint. {CURE}"
        )
    try:
        settings = backbone_class.read_config(config)
    except ConfigError as error:
        raise ModelError(f"{folder / 'config.json'} is not as expected. {error}") from error
    build = partial(backbone_class.from_config, {**settings, "final_norm": final_norm}, layers=layers)
    weights = _open_weights(folder)
    names = _fitting_names(without_memory(build), weights.header, source=str(checkpoint))
    with nothing_drawn():
        model = build()
    own = model.state_dict()
    weights.read_into({name: own[own_name] for own_name, name in names.items()})
    _refuse(model, {"not finite": [name for name, tensor in own.items() if not is_finite(tensor)]}, str(checkpoint))
    if model.obeys_do_normalize and (folder / PREPROCESSOR).exists():
        do_normalize = _settings(folder / PREPROCESSOR).get("do_normalize")
        if not isinstance(do_normalize, bool | None):
            raise ModelError(
                f"{folder / PREPROCESSOR}: do_normalize is {do_normalize!r}, expected true or false. {CURE}"
            )
        if do_normalize is not None:
            model.normalize = "clip" if do_normalize else "none"
    return model


def load_weights(backbone: Backbone, state: Mapping[str, Tensor], *, source: str) -> None:
    """Copies a published state dict into a backbone, all of it or nothing.

    Args:
        backbone: what to fill.
        state: weights under any prefix that `adapt_state_dict` knows.
        source: where they come from, for the message.

    Raises:
        ModelError: if a weight is missing, unexpected, of the wrong shape or not finite.
    """
    names = _fitting_names(backbone, state, source=source)
    _refuse(backbone, {"not finite": [own for own, name in names.items() if not is_finite(state[name])]}, source)
    backbone.load_state_dict({own: state[name] for own, name in names.items()})


def _fitting_names(backbone: Backbone, state: Mapping[str, Tensor], *, source: str) -> dict[str, str]:
    """The name in a state dict of each of a backbone's own weights; shapes count, values are not looked at.

    Raises:
        ModelError: if a weight is missing, unexpected, of the wrong shape or kind.
    """
    name_of = {id(tensor): name for name, tensor in state.items()}
    weights, expected = backbone.adapt_state_dict(state), backbone.state_dict()
    known = [(name, weights[name], tensor) for name, tensor in expected.items() if name in weights]
    faults = {
        "missing": [name for name in expected if name not in weights],
        "unexpected": [name for name in weights if name not in expected],
        "of the wrong shape": [
            f"{name} {tuple(found.shape)} instead of {tuple(tensor.shape)}"
            for name, found, tensor in known
            if found.shape != tensor.shape
        ],
        "of whole numbers": [name for name, found, _ in known if not found.is_floating_point()],
    }
    _refuse(backbone, faults, source)
    return {own: name_of[id(tensor)] for own, tensor in weights.items()}


def _refuse(backbone: Backbone, faults: Mapping[str, list[str]], source: str) -> None:
    found = [f"  {len(names)} {kind}: {_first(names)}" for kind, names in faults.items() if names]
    if found:
        raise ModelError(
            f"The weights of {source} do not fit {backbone.model_type} with {backbone.num_layers} layers:\n"
            + "\n".join(found)
            + f"\nThe download may be broken, or its config.json belongs to another model. {CURE}"
        )


def _first(names: list[str]) -> str:
    more = f", and {len(names) - NAMED_AT_MOST} more" if len(names) > NAMED_AT_MOST else ""
    return ", ".join(names[:NAMED_AT_MOST]) + more


def _folder(checkpoint: str, revision: str | None, download: Download) -> Path:
    """The local folder of a checkpoint, fetched first where it is a name on the Hub."""
    local = Path(os.path.expanduser(checkpoint))  # noqa: PTH111 (Path's own raises for an unknown user)
    if local.is_dir():
        return local
    if local.exists():
        raise ModelError(f"'{checkpoint}' is a file, expected the folder that holds config.json. {CURE}")
    owner = checkpoint.partition("/")[0]
    is_published = owner in PUBLISHERS and not Path(owner).exists()
    if not (is_hub_name(checkpoint) or is_published):
        raise no_folder(checkpoint, "checkpoint", cure=CURE)
    return fetch(
        PREFIX + checkpoint.removeprefix(PREFIX),
        patterns=["config.json", PREPROCESSOR, *SAFETENSORS],
        old_patterns=["config.json", "pytorch_model.bin"],
        what="checkpoint",
        revision=revision,
        download=download,
    ).folder


def _settings(path: Path) -> dict[str, Any]:
    """Settings in a JSON file of a checkpoint."""
    try:
        return read_json(path, "The checkpoint's file")
    except TableError as error:
        raise ModelError(f"{path.name} cannot be read: {error} {CURE}") from error


class Weights(Protocol):
    """Weights that can be read: their names and shapes, and their values into places of these shapes."""

    @property
    def header(self) -> Mapping[str, Tensor]: ...

    def read_into(self, places: Mapping[str, Tensor]) -> None: ...


@dataclass(frozen=True)
class Shards:
    """Several files as one."""

    files: Sequence[WeightsFile]

    @property
    def header(self) -> dict[str, Tensor]:
        return {name: tensor for file in self.files for name, tensor in file.header.items()}

    def read_into(self, places: Mapping[str, Tensor]) -> None:
        for file in self.files:
            file.read_into({name: place for name, place in places.items() if name in file.header})


@dataclass(frozen=True)
class StateDict:
    """Weights that are in memory, or mapped to it."""

    header: Mapping[str, Tensor]

    def read_into(self, places: Mapping[str, Tensor]) -> None:
        for name, place in places.items():
            place.copy_(self.header[name])


def _open_weights(folder: Path) -> Weights:
    """The weights of a folder, from the first of the known files that is there."""
    if (folder / "model.safetensors").exists():
        return _open_safetensors(folder / "model.safetensors")
    index = folder / "model.safetensors.index.json"
    if index.exists():
        weight_map = _settings(index).get("weight_map")
        if not isinstance(weight_map, dict) or not all(
            isinstance(shard, str) and shard == Path(shard).name for shard in weight_map.values()
        ):
            raise ModelError(f"{index} has no weight_map from weights to files beside it. Download it again. {CURE}")
        return Shards([_open_safetensors(folder / shard) for shard in sorted(set(weight_map.values()))])
    if (folder / "pytorch_model.bin").exists():
        return StateDict(_read_pickle(folder / "pytorch_model.bin"))
    raise ModelError(
        f"{folder} holds no weights: expected model.safetensors, model.safetensors.index.json or pytorch_model.bin. "
        f"{CURE}"
    )


def _open_safetensors(path: Path) -> WeightsFile:
    try:
        return WeightsFile.open(path)
    except ModelError as error:
        raise ModelError(f"{error} {CURE}") from error


def _read_pickle(path: Path) -> dict[str, Tensor]:
    try:
        state = torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except (pickle.UnpicklingError, RuntimeError, OSError, EOFError, ValueError, KeyError, AttributeError) as error:
        raise ModelError(
            f"{path} cannot be read as plain weights ({type(error).__name__}). Use its safetensors version. {CURE}"
        ) from error
    if not isinstance(state, dict) or not all(isinstance(tensor, Tensor) for tensor in state.values()):
        raise ModelError(f"{path} holds something else than named weights. Use its safetensors version. {CURE}")
    return state
