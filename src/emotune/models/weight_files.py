"""Weights of a published folder: which of its files hold them, read without running anything."""

# pyright: strict, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from emotune.errors import ModelError, TableError
from emotune.io.tables import read_json
from emotune.models.weights import WeightsFile

FILES = (
    *("model.safetensors", "model.safetensors.index.json"),
    *("model.fp16.safetensors", "model.safetensors.index.fp16.json"),
    *("pytorch_model.bin", "pytorch_model.bin.index.json"),
)
"""In which a folder's weights are looked for, in this order; an index names the files beside it."""


class Weights(Protocol):
    """Weights that can be read: their names and shapes, and their values into places of these shapes."""

    @property
    def header(self) -> Mapping[str, Tensor]: ...

    @property
    def files(self) -> Sequence[Path]:
        """The files that hold them."""
        ...

    def read_into(self, places: Mapping[str, Tensor]) -> None:
        """Fills places with the values of that name."""
        ...


@dataclass(frozen=True)
class Shards:
    """Several files as one."""

    parts: Sequence[Weights]

    @property
    def header(self) -> dict[str, Tensor]:
        return {name: tensor for part in self.parts for name, tensor in part.header.items()}

    @property
    def files(self) -> list[Path]:
        return [file for part in self.parts for file in part.files]

    def read_into(self, places: Mapping[str, Tensor]) -> None:
        for part in self.parts:
            part.read_into({name: place for name, place in places.items() if name in part.header})


@dataclass(frozen=True)
class StateDict:
    """Weights that are in memory, or mapped to it."""

    header: Mapping[str, Tensor]
    files: Sequence[Path] = ()

    @torch.no_grad()
    def read_into(self, places: Mapping[str, Tensor]) -> None:
        for name, place in places.items():
            place.copy_(self.header[name])


def open_weights(folder: Path, *, cure: str) -> Weights:
    """The weights of a folder, from the first of the known files that is there.

    Args:
        folder: of a model.
        cure: last sentence of an error.

    Raises:
        ModelError: where there are none, or they are broken or anything but weights.
    """
    name = next((name for name in FILES if (folder / name).exists()), None)
    if name is None:
        raise ModelError(f"{folder} holds no weights: expected {', '.join(FILES[:-1])} or {FILES[-1]}. {cure}")
    if not name.endswith(".json"):
        return _open(folder / name, cure)
    return Shards([_open(folder / shard, cure) for shard in _shards_of(folder / name, cure)])


def _shards_of(index: Path, cure: str) -> list[str]:
    try:
        weight_map = read_json(index, "The checkpoint's index").get("weight_map")
    except TableError as error:
        raise ModelError(f"{error} {cure}") from error
    names: list[Any] = list(weight_map.values()) if isinstance(weight_map, dict) else []
    if not names or not all(isinstance(shard, str) and shard == Path(shard).name for shard in names):
        raise ModelError(f"{index} has no weight_map from weights to files beside it. Download it again. {cure}")
    return sorted(set(names))


def _open(path: Path, cure: str) -> Weights:
    if path.suffix != ".safetensors":
        return StateDict(read_pickle(path, cure=cure), [path])
    try:
        return WeightsFile.open(path)
    except ModelError as error:
        raise ModelError(f"{error} {cure}") from error


def read_pickle(path: Path, *, cure: str, inside: str | None = None) -> dict[str, Tensor]:
    """Named weights of a PyTorch file, mapped into memory; nothing in it is executed.

    Args:
        path: of the file.
        cure: last sentence of an error.
        inside: entry of the file that holds the weights where they do not lie open.

    Raises:
        ModelError: for a file that is broken or holds anything else.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except (pickle.UnpicklingError, RuntimeError, OSError, EOFError, ValueError, KeyError, AttributeError) as error:
        raise ModelError(
            f"{path} cannot be read as plain weights ({type(error).__name__}). Use its safetensors version. {cure}"
        ) from error
    if inside is not None and isinstance(state, dict) and isinstance(state.get(inside), dict):
        state = state[inside]
    if not isinstance(state, dict) or not all(isinstance(tensor, Tensor) for tensor in state.values()):
        raise ModelError(f"{path} holds something else than named weights. Use its safetensors version. {cure}")
    return state
