"""Folders that hold a model: which one a name stands for."""

# pyright: strict, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

import hashlib
import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from emotune.errors import ModelError, quoted
from emotune.io.hub import CARD, Download, download_snapshot, fetch, is_hub_name, no_folder
from emotune.io.tables import read_json
from emotune.models.installed import cure_of_absence, installed_model
from emotune.models.sequences.folder import find_sequences
from emotune.schema.run_folder import why_no_model

CONFIG, PREPROCESSOR, WEIGHTS = "config.json", "preprocessor_config.json", "model.safetensors"
SAFETENSORS = ("model.safetensors", "model-*.safetensors", "model.safetensors.index.json")
"""weights of published models on the Hub; the others are fetched only where there are none of these"""
OTHER_WEIGHTS = (
    *("model.fp16*.safetensors", "model.safetensors.index.fp16.json"),
    *("pytorch_model.bin", "pytorch_model-*.bin", "pytorch_model.bin.index.json"),
)
_WHOLE = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json")
PEFT_CONFIG = "adapter_config.json"
PEFT_FILES = (PEFT_CONFIG, "adapter_model.safetensors", "adapter_model.bin")
SPEECHBRAIN = ("wav2vec2.ckpt", "model.ckpt", "label_encoder.txt")
"""in place of config and weights, in folders of that library"""
FUNASR = ("model.pt", "config.yaml", "tokens.txt")
"""likewise of FunASR"""
GRAPH, HEADS_GRAPH = "model.onnx", "heads.onnx"
"""of an exported model, in place of the weights: the whole, and what comes behind the pooling"""
TRAINING_DURATION = "training_duration_s"
"""key of the config"""
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class ModelFolder:
    """Folder of a model: an absolute path, so that a process in another working folder finds the same.

    Args:
        folder: with config, preprocessing and weights.
        name: by which it is found again: the folder, an installed model's name, or ``hf:owner/name@commit``.
    """

    folder: Path
    name: str


def find_model_folder(name: str | Path, *, download: Download = download_snapshot) -> ModelFolder:
    """The folder itself, ``model`` inside a run folder, a snapshot of the Hub for ``hf:owner/name[@revision]``.

    A word such as ``mini`` is the installed model of that name, in every working folder: a folder is then ``./mini``.

    Raises:
        ModelError: when there is none of that name, or the folder holds no model.
    """
    if is_hub_name(name):
        patterns = [CONFIG, PREPROCESSOR, *SAFETENSORS, GRAPH, HEADS_GRAPH, *PEFT_FILES, CARD]
        found = fetch(str(name), patterns=patterns, what="model", download=download)
        if not any((found.folder / file).exists() for file in (WEIGHTS, f"{WEIGHTS}.index.json", GRAPH, PEFT_CONFIG)):
            fetch(
                found.name, patterns=[*OTHER_WEIGHTS, *SPEECHBRAIN, *FUNASR], what="model's weights", download=download
            )
        if not holds_model(found.folder):
            raise ModelError(f"{name} on the Hugging Face Hub holds no {CONFIG}, so it is no model. Name another one.")
        return ModelFolder(found.folder, found.name)
    path = Path(name)
    here = next((folder.absolute() for folder in (path, path / "model") if holds_model(folder)), None)
    installed = installed_model(name)
    if installed is not None:
        if here is not None:
            _LOG.info("%s is the installed model; the one in the folder here is ./%s", name, name)
        return ModelFolder(installed, str(name))
    if here is not None:
        return ModelFolder(here, str(here))
    if find_sequences(path) is not None:
        raise ModelError(
            f"{path} holds a sequence model, which writes answers: `emotune predict` and `emotune evaluate` take it, in"
            " Python emotune.inference.sequences.load, and nothing else does."
        )
    if path.exists():
        raise ModelError(" ".join(filter(None, [why_no_model(path), cure_of_absence(name)])))
    known = "" if "/" in str(name) else "Give a model's folder or a run's, such as runs/NAME of `emotune train`."
    raise no_folder(name, "model", cure=cure_of_absence(name) or known)


def fetch_published(name: str, *, what: str, revision: str | None, download: Download) -> Path:
    """Folder of a published model of the Hub: its settings and weights, safetensors where there are any.

    Raises:
        ConfigError: for a name of another shape, or two revisions.
        ModelError: when it cannot be had.
    """
    return fetch(
        name,
        patterns=[CONFIG, PREPROCESSOR, *SAFETENSORS, *PEFT_FILES],
        old_patterns=[CONFIG, *OTHER_WEIGHTS],
        what=what,
        revision=revision,
        download=download,
    ).folder


def is_adapter(folder: Path) -> bool:
    """Tells whether a folder holds an adapter of PEFT, and no model of its own that it was merged into."""
    return (folder / PEFT_CONFIG).exists() and not any((folder / name).exists() for name in _WHOLE)


def holds_model(folder: Path) -> bool:
    """Tells whether a folder has a config, or what PEFT, SpeechBrain or FunASR have in its place."""
    places = ([CONFIG], [PEFT_CONFIG], SPEECHBRAIN[:2], FUNASR[:2])
    return any(all((folder / name).exists() for name in names) for names in places)


def training_duration_in(folder: Path) -> float | None:
    """Seconds that 99 % of a model's training clips keep to, by its config; None where it does not say.

    Raises:
        ModelError: if that is no number of seconds.
    """
    config = folder / CONFIG
    found = read_json(config, "The model's config").get(TRAINING_DURATION) if config.exists() else None
    if found is None:
        return None
    if not isinstance(found, int | float) or isinstance(found, bool) or not 0 < found < math.inf:
        raise ModelError(f"{config}: {TRAINING_DURATION} must be a number of seconds, got {quoted(found)}.")
    return float(found)


def digest_of(files: Sequence[Path]) -> str:
    """SHA-256 over files, in this order."""
    digest = hashlib.sha256()
    for file in files:
        with file.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()
