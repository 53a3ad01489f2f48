"""Published weights into a backbone, from a local folder or the Hugging Face Hub, or an error that says why not."""

from __future__ import annotations

import json
import os
import pickle
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import snapshot_download
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from emotune.errors import ConfigError, ModelError
from emotune.models.backbones import BACKBONES
from emotune.models.backbones.base import Backbone

CURE = "Name a folder that holds one: model.backbone.checkpoint=/path/to/folder"
HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")
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
) -> Backbone:
    """Build a backbone with published weights, in float32 whatever they are stored in.

    Args:
        backbone: name in `BACKBONES`.
        checkpoint: a folder with config.json and model.safetensors (whole or sharded) or pytorch_model.bin, or a name
            on the Hugging Face Hub. A local folder of that name comes first. Where it has a preprocessor_config.json,
            that decides whether clips are normalised.
        layers: keep only the first ones, None = all.
        final_norm: let the last state pass the norm that stands behind the last layer.
        revision: branch, tag or commit on the Hub, None = its main branch. A local folder has none.

    Raises:
        ConfigError: if the backbone is unknown, more layers are asked than there are, or a final norm where none is.
        ModelError: if there is no such checkpoint, it is another kind of model, or a weight is missing, unexpected, of
            the wrong shape or not finite.
    """
    backbone_class = BACKBONES[backbone]
    folder = _folder(str(checkpoint), revision)
    config = _read_json(folder / "config.json")
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
    model = backbone_class.from_config({**settings, "final_norm": final_norm}, layers=layers)
    load_weights(model, _read_weights(folder), source=str(checkpoint))
    if model.obeys_do_normalize and (folder / PREPROCESSOR).exists():
        do_normalize = _read_json(folder / PREPROCESSOR).get("do_normalize")
        if not isinstance(do_normalize, bool | None):
            raise ModelError(
                f"{folder / PREPROCESSOR}: do_normalize is {do_normalize!r}, expected true or false. {CURE}"
            )
        if do_normalize is not None:
            model.normalize = "clip" if do_normalize else "none"
    return model


def load_weights(backbone: Backbone, state: Mapping[str, Tensor], *, source: str) -> None:
    """Copy a published state dict into a backbone, all of it or nothing.

    Args:
        backbone: what to fill.
        state: weights under any prefix that `adapt_state_dict` knows.
        source: where they come from, for the message.

    Raises:
        ModelError: if a weight is missing, unexpected, of the wrong shape or not finite.
    """
    weights = backbone.adapt_state_dict(state)
    expected = backbone.state_dict()
    faults = {
        "missing": [name for name in expected if name not in weights],
        "unexpected": [name for name in weights if name not in expected],
        "of the wrong shape": [
            f"{name} {tuple(weights[name].shape)} instead of {tuple(tensor.shape)}"
            for name, tensor in expected.items()
            if name in weights and weights[name].shape != tensor.shape
        ],
        "not finite": [
            name
            for name, tensor in weights.items()
            if name in expected and not (tensor.is_floating_point() and bool(torch.isfinite(tensor).all()))
        ],
    }
    found = [f"  {len(names)} {kind}: {_first(names)}" for kind, names in faults.items() if names]
    if found:
        raise ModelError(
            f"The weights of {source} do not fit {backbone.model_type} with {backbone.num_layers} layers:\n"
            + "\n".join(found)
            + f"\nThe download may be broken, or its config.json belongs to another model. {CURE}"
        )
    backbone.load_state_dict(weights)


def _first(names: list[str]) -> str:
    more = f", and {len(names) - NAMED_AT_MOST} more" if len(names) > NAMED_AT_MOST else ""
    return ", ".join(names[:NAMED_AT_MOST]) + more


def _folder(checkpoint: str, revision: str | None) -> Path:
    """The local folder of a checkpoint, downloaded first where it is a name on the Hub."""
    local = Path(os.path.expanduser(checkpoint))  # noqa: PTH111 (Path's own raises for an unknown user)
    if local.is_dir():
        return local
    missing = f"There is no local folder '{checkpoint}'"
    if local.exists():
        raise ModelError(f"'{checkpoint}' is a file, expected the folder that holds config.json. {CURE}")
    if not HUB_NAME.fullmatch(checkpoint):
        raise ModelError(f"{missing}, and that is no name on the Hugging Face Hub either. {CURE}")
    try:
        folder = Path(
            snapshot_download(
                checkpoint,
                revision=revision,
                allow_patterns=["config.json", PREPROCESSOR, *SAFETENSORS],
            )
        )
        if not any(folder.glob("*.safetensors")):
            snapshot_download(checkpoint, revision=revision, allow_patterns=["config.json", "pytorch_model.bin"])
    except Exception as error:  # the hub's HTTP library, and with it its exceptions, differs between its versions
        raise ModelError(
            f"{missing}, and the Hugging Face Hub could not be reached or has none ({type(error).__name__}). {CURE}"
        ) from error
    return folder


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ModelError(f"{path} cannot be read ({error.strerror}); every checkpoint has one. {CURE}") from error
    except ValueError as error:
        raise ModelError(f"{path} is not valid JSON ({error}). Download it again. {CURE}") from error
    if not isinstance(content, dict):
        raise ModelError(f"{path} holds a {type(content).__name__}, expected an object of keys and values. {CURE}")
    return content


def _read_weights(folder: Path) -> dict[str, Tensor]:
    """The state dict of a folder, from the first of the known files that is there."""
    if (folder / "model.safetensors").exists():
        return _read_safetensors(folder / "model.safetensors")
    index = folder / "model.safetensors.index.json"
    if index.exists():
        weight_map = _read_json(index).get("weight_map")
        if not isinstance(weight_map, dict) or not all(
            isinstance(shard, str) and shard == Path(shard).name for shard in weight_map.values()
        ):
            raise ModelError(f"{index} has no weight_map from weights to files beside it. Download it again. {CURE}")
        state: dict[str, Tensor] = {}
        for shard in sorted(set(weight_map.values())):
            state |= _read_safetensors(folder / shard)
        return state
    if (folder / "pytorch_model.bin").exists():
        return _read_pickle(folder / "pytorch_model.bin")
    raise ModelError(
        f"{folder} holds no weights: expected model.safetensors, model.safetensors.index.json or pytorch_model.bin. "
        f"{CURE}"
    )


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{path} cannot be read ({error}). Download it again. {CURE}") from error


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
