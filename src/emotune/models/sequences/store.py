"""Model folders of sequence models: where the base lies, and a file for each task's adapter."""

# pyright: strict, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emotune.audio.preprocessing import Preprocessing
from emotune.errors import ModelError, TableError
from emotune.io.tables import read_json, to_json, write_text
from emotune.models.backbones.base import Backbone
from emotune.models.sequences.adapter_file import SUFFIX, add_adapters, save_adapter
from emotune.models.sequences.base import Base, load_base, save_base
from emotune.models.sequences.folder import FILE, find_sequences
from emotune.models.sequences.sequence_model import SequenceModel
from emotune.models.sequences.spelling import TOKENIZER

SCHEMA = "emotune-sequences/1"
_ADAPTERS, _BASE = "adapters", "base"


@dataclass(frozen=True)
class StoredSequences:
    """A sequence model that was read, in evaluation mode.

    Args:
        model: with the adapters of its tasks.
        base: what they were trained on.
    """

    model: SequenceModel
    base: Base

    @property
    def preprocessing(self) -> Preprocessing:
        """Preprocessing of clips before the model."""
        return preprocessing_of(self.model.base.backbone)


def load_sequences(base: str | Path, *, adapters: Sequence[str | Path] | None = None) -> StoredSequences:
    """Loads a sequence model for prediction.

    Args:
        base: a run of ``emotune train`` or its model folder, or the folder of an encoder-decoder.
        adapters: files of adapters. None = those of the run; an encoder-decoder has none by itself.

    Raises:
        ModelError: for what is no such model, or adapters that do not fit it.
    """
    folder = find_sequences(base)
    if folder is None:
        read, files = load_base(base), []
    else:
        about = _read(folder / FILE)
        own = Path(about["base"])
        place = own if own.is_absolute() else folder / own
        if not place.is_dir():
            raise ModelError(
                f"{folder / FILE} names the base {own}, which is not there. Put it back, correct that path, or name the"
                f" base wherever it is, with the files in {folder / _ADAPTERS} as --adapter."
            )
        read = load_base(place)
        if read.fingerprint != about["fingerprint"]:
            raise ModelError(
                f"{folder / FILE} names the base {own}, whose files have changed since. Put the former ones back, or"
                " train again."
            )
        files = [folder / _ADAPTERS / f"{name}{SUFFIX}" for name in about["tasks"]]
    model = SequenceModel(read.model)
    add_adapters(model, files if adapters is None else adapters, base=read.fingerprint)
    return StoredSequences(model.eval(), read)


def save_sequences(folder: Path, model: SequenceModel, base: Base) -> None:
    """Writes a model folder: a file an adapter, and the base itself where it was trained or built anew.

    Args:
        folder: for it.
        model: on the CPU.
        base: what its adapters stand on.
    """
    place, fingerprint = str(base.folder), base.fingerprint
    if model.trains == "all" or base.folder is None:
        tokenizer = None if base.folder is None else base.folder / TOKENIZER
        save_base(folder / _BASE, model.base, tokenizer=tokenizer)
        place, fingerprint = _BASE, load_base(folder / _BASE).fingerprint
    for name in model.tasks:
        save_adapter(folder / _ADAPTERS / f"{name}{SUFFIX}", model, name, base=fingerprint)
    about = {"schema": SCHEMA, "base": place, "fingerprint": fingerprint, "tasks": list(model.tasks)}
    write_text(folder / FILE, to_json(about) + "\n")


def preprocessing_of(backbone: Backbone) -> Preprocessing:
    """Preprocessing that an encoder needs."""
    longest_s = 30.0 if backbone.max_samples is None else min(30.0, backbone.max_samples / 16000)
    return Preprocessing(normalize=backbone.normalize, max_duration_s=longest_s, min_samples=backbone.min_samples)


def _read(path: Path) -> dict[str, Any]:
    try:
        about = read_json(path, "The model's file")
    except TableError as error:
        raise ModelError(f"{error} Train again, or copy the folder again.") from error
    tasks = about.get("tasks")
    named = isinstance(tasks, list) and all(isinstance(name, str) for name in tasks)
    if (
        about.get("schema") != SCHEMA
        or not named
        or not all(isinstance(about.get(k), str) for k in ("base", "fingerprint"))
    ):
        raise ModelError(f"{path} is not as expected: it needs schema {SCHEMA!r}, base, fingerprint and tasks.")
    return about
