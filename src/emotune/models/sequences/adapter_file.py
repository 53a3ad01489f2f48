"""Files of adapters: one file a task, with its token, its adapter and its output for CTC."""

# pyright: strict, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from emotune.errors import ConfigError, ModelError
from emotune.models.sequences.sequence_model import SequenceModel
from emotune.models.sequences.spoken_task import SpokenTask
from emotune.models.weights import WeightsFile, is_finite

SCHEMA = "emotune-task-adapter/1"
SUFFIX = ".safetensors"
_ENTRY = "emotune"


def save_adapter(path: Path, model: SequenceModel, name: str, *, base: str) -> None:
    """Writes a task's adapter.

    Args:
        path: of the file.
        model: that has it.
        name: of the task.
        base: fingerprint of the encoder-decoder that it was trained on.
    """
    about = {"schema": SCHEMA, "base": base, "task": model.tasks[name].task.to_json()}
    tensors = {key: tensor.detach().cpu().contiguous() for key, tensor in model.parts_of(name).state_dict().items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, path, metadata={_ENTRY: json.dumps(about)})


def add_adapters(model: SequenceModel, paths: Iterable[str | Path], *, base: str) -> None:
    """Gives a model the adapters of files, in an order in which each finds those that it uses.

    Args:
        model: gets them.
        paths: of the files.
        base: fingerprint of the model's encoder-decoder.

    Raises:
        ModelError: for a file that is none of an adapter, was trained on another base, or lacks one that it uses.
    """
    waiting = {path: _task_of(path, base) for path in map(Path, paths)}
    names = [task.name for task in waiting.values()]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise ModelError(f"Two files hold an adapter '{twice[0]}'; name one of them.")
    for path, task in waiting.items():
        missing = [other for other in task.uses if other not in names and other not in model.tasks]
        if missing:
            raise ModelError(f"{path} uses the adapter '{missing[0]}': name its file too.")
    for path, task in sorted(waiting.items(), key=lambda pair: len(pair[1].uses)):
        try:
            model.add(task)
        except ConfigError as error:
            raise ModelError(f"{path}: {error}") from error
        parts = model.parts_of(task.name)
        weights, places = WeightsFile.open(path), parts.state_dict()
        found = {key: tuple(tensor.shape) for key, tensor in weights.header.items()}
        expected = {key: tuple(tensor.shape) for key, tensor in places.items()}
        if found != expected:
            differing = sorted(key for key in {*found, *expected} if found.get(key) != expected.get(key))
            raise ModelError(
                f"{path} does not fit: {differing[0]} has shape {found.get(differing[0])}, expected"
                f" {expected.get(differing[0])}."
            )
        weights.read_into(places)
        spoilt = [key for key, tensor in places.items() if not is_finite(tensor)]
        if spoilt:
            raise ModelError(f"{path}: {spoilt[0]} holds NaN or infinite values; train the adapter again.")


def names_of(paths: Sequence[str | Path]) -> dict[str, Path]:
    """Task -> file of some adapters' files.

    Raises:
        ModelError: for a file that is none of an adapter.
    """
    return {_about(Path(path))[0].name: Path(path) for path in paths}


def _task_of(path: Path, base: str) -> SpokenTask:
    task, own = _about(path)
    if own != base:
        raise ModelError(
            f"{path} was trained on another base ({own[:12]}, this one is {base[:12]}): its numbers mean nothing here."
            " Name the base that its run's model/sequences.json names."
        )
    return task


def _about(path: Path) -> tuple[SpokenTask, str]:
    """Task and base of a file."""
    if not path.is_file():
        raise ModelError(f"There is no file {path}; an adapter is one, such as model/adapters/emotion{SUFFIX}.")
    try:
        with safe_open(path, framework="pt") as opened:
            metadata: dict[str, str] = opened.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{path} is not a readable safetensors file ({error}); copy it again.") from error
    try:
        about: dict[str, Any] = json.loads(metadata.get(_ENTRY, "{}"))
        if about.get("schema") != SCHEMA:
            raise ModelError(f"its schema is {about.get('schema')!r}, this version reads {SCHEMA!r}")
        return SpokenTask.from_json(about["task"]), str(about["base"])
    except (ValueError, KeyError, TypeError, ConfigError, ModelError) as error:
        raise ModelError(f"{path} holds no adapter of a task: {error}.") from error
