"""Checkpoints of a run: whole or absent, whatever moment the process is killed at, and known by their SHA-256.

A checkpoint is written into a folder of another name, which is renamed when everything in it is on the disk; one that
is no longer needed is renamed before it is removed. So a folder under a checkpoint's name is always complete. In it
lies ``SHA256SUMS``, which ``sha256sum --check`` reads too; it names the best weights beside the folder as well. The
checkpoint before the newest is kept, for the case that the newest is damaged.
"""

from __future__ import annotations

import hashlib
import os
import pickle
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from emotune.errors import ModelError
from emotune.io.tables import to_json

_NAME = re.compile(r"step-\d{8,}(-unscored)?")
_STATE, _OPTIMISER, _SUMS = "state.json", "optimiser.pt", "SHA256SUMS"
_BEST = "best-{step:08d}.safetensors"
_SUM = re.compile(r"([0-9a-f]{64})  ((?:\.\./best-)?[\w.]+)")


class State(BaseModel):
    """Plain part of a checkpoint: how far the run is, and what it needs to know of itself.

    Args:
        step: optimiser steps done.
        steps_an_epoch: of this run.
        rows: one for each epoch that was scored.
        losses: of the steps since then.
        seconds: spent on these.
        start: figures before the first step, where these were asked for.
        best_step: that of the best epoch so far, whose weights are kept; 0 is the start.
        processes: that train together.
        most_samples: what each of them has learnt to fit into memory.
        batch_seconds: of this run, which may have been cut to fit into memory.
        accumulate: batches of a step, likewise.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    step: int = Field(ge=1)
    steps_an_epoch: int = Field(ge=1)
    rows: list[dict[str, int | float | None]]
    losses: list[float]
    seconds: float = Field(ge=0)
    start: dict[str, int | float | None] | None = None
    best_step: int | None
    processes: int = Field(ge=1)
    most_samples: list[int | None]
    batch_seconds: float = Field(gt=0)
    accumulate: int = Field(ge=1)

    @model_validator(mode="after")
    def _fits_together(self) -> State:
        scored = [(number, number * self.steps_an_epoch) for number in range(1, len(self.rows) + 1)]
        if [(row.get("epoch"), row.get("step")) for row in self.rows] != scored:
            raise ValueError(f"its {len(self.rows)} rows are not those of epochs of {self.steps_an_epoch} steps")
        since = self.step - len(self.rows) * self.steps_an_epoch
        if not 0 <= since <= self.steps_an_epoch or len(self.losses) != since:
            raise ValueError(f"step {self.step} does not go with {len(self.rows)} rows and {len(self.losses)} losses")
        known = [step for _, step in scored] if self.start is None else [0, *(step for _, step in scored)]
        if self.best_step is not None and self.best_step not in known:
            raise ValueError(f"best_step {self.best_step} is that of no epoch")
        if len(self.most_samples) != self.processes:
            raise ValueError(f"most_samples has {len(self.most_samples)} entries for {self.processes} processes")
        return self

    @property
    def name(self) -> str:
        """The checkpoint's; the end of an epoch comes twice when its scoring was interrupted."""
        is_unscored = len(self.losses) == self.steps_an_epoch
        return f"step-{self.step:08d}{'-unscored' if is_unscored else ''}"


@dataclass(frozen=True)
class Checkpoint:
    """State that training needs to go on.

    Args:
        tensors: named groups of weights, such as those of the model and of their moving average.
        optimiser: the optimiser's state.
        state: the rest.
    """

    tensors: Mapping[str, Mapping[str, Tensor]]
    optimiser: Mapping[str, Any]
    state: State


class Checkpoints:
    """The checkpoints of one run, below a folder that need not exist yet.

    ``written`` is the name of the newest that this object has written or read.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.written: str | None = None
        self._best_sums: dict[str, str] = {}

    def save(self, checkpoint: Checkpoint) -> Path:
        """Writes a checkpoint, then removes all but the one before it, and the best weights that neither of them needs.

        Raises:
            ModelError: when it cannot be written; the one before it is still there.
        """
        final = self.folder / checkpoint.state.name
        part = self.folder / f".{final.name}.part"
        try:
            _remove(part)
            part.mkdir(parents=True)
            for name, tensors in checkpoint.tensors.items():
                save_file({key: tensor.contiguous() for key, tensor in tensors.items()}, part / f"{name}.safetensors")
            torch.save(dict(checkpoint.optimiser), part / _OPTIMISER)
            (part / _STATE).write_text(to_json(checkpoint.state.model_dump()), encoding="utf-8")
            sums = {path.name: _sha256(path) for path in sorted(part.iterdir())}
            if checkpoint.state.best_step is not None:
                best = _BEST.format(step=checkpoint.state.best_step)
                sums[f"../{best}"] = self._best_sums[best]
            lines = [f"{digest}  {name}\n" for name, digest in sums.items()]
            (part / _SUMS).write_text("".join(lines), encoding="ascii")
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
        kept, self.written = {final.name, self.written}, final.name
        for other in self._named():
            if other.name not in kept:
                _remove(other)
        needed = {name for path in self._named() for name in _sums_of(path)}
        for path in self.folder.glob(_BEST.replace("{step:08d}", "*")):
            if f"../{path.name}" not in needed:
                path.unlink()
        return final

    def keep_best(self, step: int, weights: Mapping[str, Tensor]) -> None:
        """Writes the weights of the best epoch so far; the earlier ones stay as long as a checkpoint needs them."""
        final = self.folder / _BEST.format(step=step)
        part = final.with_name(f".{final.name}.part")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            save_file({name: tensor.contiguous() for name, tensor in weights.items()}, part)
            self._best_sums[final.name] = _sha256(part)
            _to_disk(part)
            part.replace(final)
        except (OSError, SafetensorError) as error:
            part.unlink(missing_ok=True)
            raise ModelError(f"{final} could not be written ({error}). Free some space and start again.") from error

    def best(self, step: int) -> dict[str, Tensor]:
        """The weights that ``keep_best`` kept.

        Raises:
            ModelError: when they are not what was kept.
        """
        path = self.folder / _BEST.format(step=step)
        fault = _fault_of(path, self._best_sums[path.name])
        if fault is not None:
            raise ModelError(
                f"The weights of the best epoch, {path}: {fault}. The same command goes on from a checkpoint whose best"
                " weights are whole, or trains anew."
            )
        return load_file(path)

    def newest(self) -> tuple[Path | None, list[str]]:
        """The newest whole checkpoint, and a word on each thing that is not one and was left out."""
        said = []
        for path in sorted(self.folder.glob(".*.part")) if self.folder.is_dir() else []:
            said.append(f"{path.name.removesuffix('.part')[1:]} was not written to its end and is left out")
            _remove(path)
        named = sorted(self._named(), key=lambda path: (path.name.removesuffix("-unscored"), len(path.name) < 15))
        for path in reversed(named):
            fault = _what_is_wrong(path)
            if fault is None:
                return path, said
            said.append(f"{path.name} is damaged ({fault}) and is left out")
        if named:
            said.append("no whole checkpoint is left: training begins anew")
        return None, said

    def load(self, path: Path) -> Checkpoint:
        """Reads a checkpoint; its pickled part may hold plain tensors and numbers only.

        Raises:
            ModelError: when a file cannot be read.
        """
        try:
            state, sums = state_of(path), _sums_of(path)
            tensors = {Path(name).stem: load_file(path / name) for name in sums if _is_of_tensors(name)}
            optimiser = torch.load(path / _OPTIMISER, map_location="cpu", weights_only=True)
        except (OSError, ValueError, RuntimeError, SafetensorError, pickle.UnpicklingError) as error:
            raise ModelError(f"The checkpoint {path} cannot be read ({error}). Remove it to train anew.") from error
        self.written = path.name
        self._best_sums |= {name.removeprefix("../"): digest for name, digest in sums.items() if name.startswith("../")}
        return Checkpoint(tensors, optimiser, state)

    def _named(self) -> list[Path]:
        return [path for path in self.folder.glob("step-*") if _NAME.fullmatch(path.name)]


def state_of(path: Path) -> State:
    """The plain part of a whole checkpoint."""
    return State.model_validate_json((path / _STATE).read_bytes())


def _what_is_wrong(path: Path) -> str | None:
    """Says why a folder is no whole checkpoint; None where it is one."""
    sums = _sums_of(path)
    missing = [name for name in (_STATE, _OPTIMISER, "model.safetensors") if name not in sums]
    if missing:
        return f"{_SUMS} does not hold the sum of {missing[0]}"
    for name, digest in sums.items():
        fault = _fault_of(path / name, digest)
        if fault is not None:
            return f"{name} {fault}"
    try:
        state_of(path)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, (_STATE, *first["loc"])))
        return f"{where}: {first['msg'].removeprefix('Value error, ')}"
    return None


def _sums_of(path: Path) -> dict[str, str]:
    """Name -> SHA-256 of a checkpoint's files; nothing where there is no list that can be read."""
    try:
        lines = (path / _SUMS).read_text(encoding="ascii").splitlines() if (path / _SUMS).is_file() else []
    except (OSError, UnicodeDecodeError):
        return {}
    found = [_SUM.fullmatch(line) for line in lines]
    return {match[2]: match[1] for match in found if match} if all(found) else {}


def _is_of_tensors(name: str) -> bool:
    return name.endswith(".safetensors") and not name.startswith("../")


def _fault_of(path: Path, digest: str) -> str | None:
    """Says why a file is not the one with this SHA-256; None where it is."""
    if not path.is_file():
        return "is not there"
    try:
        return None if _sha256(path) == digest else "is not what was written: its SHA-256 is another one"
    except OSError as error:
        return f"cannot be read ({error.strerror or error})"


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


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
