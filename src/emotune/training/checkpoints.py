"""Checkpoints of a run: whole or absent, whatever moment the process is killed at.

A checkpoint is written into a folder of another name, which is renamed when everything in it is on the disk; one that
is no longer needed is renamed before it is removed. So a folder under a checkpoint's name is always complete.
"""

from __future__ import annotations

import json
import os
import pickle
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from emotune.errors import ModelError
from emotune.tables import to_json

_NAME = re.compile(r"step-(\d+)")
_STATE = "state.json"
_BEST = "best-{step:08d}.safetensors"


@dataclass(frozen=True)
class Checkpoint:
    """What training needs to go on.

    Args:
        tensors: named groups of weights, such as those of the model and of their moving average.
        optimiser: the optimiser's state.
        state: the rest, as plain JSON.
    """

    tensors: Mapping[str, Mapping[str, Tensor]]
    optimiser: Mapping[str, Any]
    state: Mapping[str, Any]


class Checkpoints:
    """The checkpoints of one run, below a folder that need not exist yet."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def save(self, step: int, checkpoint: Checkpoint, *, best_step: int | None = None) -> None:
        """Write a checkpoint, then remove what it replaces: those before it, and the best weights but one epoch's.

        Args:
            step: optimiser steps done.
            checkpoint: what is written.
            best_step: that of the best epoch so far, whose weights are kept.

        Raises:
            ModelError: when it cannot be written; the one before it is still there.
        """
        final = self.folder / f"step-{step:08d}"
        part = self.folder / f".{final.name}.part"
        try:
            _remove(part)
            part.mkdir(parents=True)
            for name, tensors in checkpoint.tensors.items():
                save_file({key: tensor.contiguous() for key, tensor in tensors.items()}, part / f"{name}.safetensors")
            torch.save(dict(checkpoint.optimiser), part / "optimiser.pt")
            sizes = {path.name: path.stat().st_size for path in part.iterdir()}
            if best_step is not None:
                best = self.folder / _BEST.format(step=best_step)
                sizes[f"../{best.name}"] = best.stat().st_size
            (part / _STATE).write_text(to_json({**checkpoint.state, "files": sizes}), encoding="utf-8")
            for path in part.iterdir():
                _to_disk(path)
            _to_disk(part)
            _remove(final)
            part.rename(final)
            _to_disk(self.folder)
        except (OSError, RuntimeError, SafetensorError) as error:  # not all name a full disk OSError
            shutil.rmtree(part, ignore_errors=True)
            raise ModelError(
                f"The checkpoint {final} could not be written ({error}). Free some space; the same command continues"
                " from the checkpoint before it."
            ) from error
        for other in self._named():
            if other != final:
                _remove(other)
        for path in self.folder.glob(_BEST.replace("{step:08d}", "*")):
            if best_step is None or path.name != _BEST.format(step=best_step):
                path.unlink()

    def keep_best(self, step: int, weights: Mapping[str, Tensor]) -> None:
        """Write the weights of the best epoch so far; the earlier ones stay until the next ``save``."""
        final = self.folder / _BEST.format(step=step)
        part = final.with_name(f".{final.name}.part")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            save_file({name: tensor.contiguous() for name, tensor in weights.items()}, part)
            _to_disk(part)
            part.replace(final)
        except (OSError, SafetensorError) as error:
            part.unlink(missing_ok=True)
            raise ModelError(f"{final} could not be written ({error}). Free some space and start again.") from error

    def best(self, step: int) -> dict[str, Tensor]:
        """The weights that ``keep_best`` kept.

        Raises:
            ModelError: when they cannot be read.
        """
        path = self.folder / _BEST.format(step=step)
        try:
            return load_file(path)
        except (OSError, SafetensorError) as error:
            raise ModelError(
                f"The weights of the best epoch, {path}, cannot be read ({error}). Remove {self.folder}; the same"
                " command then trains anew."
            ) from error

    def newest(self) -> tuple[Path | None, list[str]]:
        """The newest complete checkpoint, and a word on each thing that is not one and was left out."""
        said = []
        for path in sorted(self.folder.glob(".*.part")) if self.folder.is_dir() else []:
            said.append(f"{path.name.removesuffix('.part')[1:]} was not written to its end and is left out")
            _remove(path)
        for path in sorted(self._named(), reverse=True):
            fault = _what_is_wrong(path)
            if fault is None:
                return path, said
            said.append(f"{path.name} is incomplete ({fault}) and is left out")
        return None, said

    def _named(self) -> list[Path]:
        return [path for path in self.folder.glob("step-*") if _NAME.fullmatch(path.name)]


def state_of(path: Path) -> dict[str, Any]:
    """The plain part of a complete checkpoint."""
    return json.loads((path / _STATE).read_text(encoding="utf-8"))


def load(path: Path) -> Checkpoint:
    """Read a checkpoint; its pickled part may hold plain tensors and numbers only.

    Raises:
        ModelError: when a file cannot be read.
    """
    try:
        state = state_of(path)
        tensors = {file.stem: load_file(file) for file in path.glob("*.safetensors")}
        optimiser = torch.load(path / "optimiser.pt", map_location="cpu", weights_only=True)
    except (OSError, ValueError, RuntimeError, SafetensorError, pickle.UnpicklingError) as error:
        raise ModelError(f"The checkpoint {path} cannot be read ({error}). Remove it to train anew.") from error
    return Checkpoint(tensors, optimiser, state)


def _what_is_wrong(path: Path) -> str | None:
    try:
        sizes = state_of(path)["files"]
        for name, size in sizes.items():
            if (path / name).stat().st_size != size:
                return f"{name} has not its size"
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        return f"{type(error).__name__}: {error}"
    return None


def _remove(path: Path) -> None:
    """Remove a file or folder under another name than its own, so that no half of it is ever taken for the whole."""
    if not path.exists():
        return
    if path.is_dir() and not path.name.endswith(".part"):
        path = path.rename(path.with_name(f".{path.name}.removed.part"))
    shutil.rmtree(path) if path.is_dir() else path.unlink()


def _to_disk(path: Path) -> None:
    """Wait until a file, or a folder's list of names, is on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
