"""Published weights into a backbone, from a local folder or the Hugging Face Hub, or an error that says why not."""

# pyright: strict, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, Literal

from torch import Tensor

from emotune.errors import ConfigError, ModelError, TableError
from emotune.io.hub import PREFIX, Download, download_snapshot, fetch, is_hub_name, no_folder
from emotune.io.tables import read_json
from emotune.models.backbones import BACKBONES
from emotune.models.backbones.base import Backbone
from emotune.models.backbones.parts_on_top import in_words, left_out
from emotune.models.folder import PREPROCESSOR, fetch_published, is_adapter
from emotune.models.peft.base import base_of
from emotune.models.peft.merged import merged
from emotune.models.weight_files import open_weights
from emotune.models.weights import is_finite, nothing_drawn, without_memory

CURE = "Name a folder that holds one: model.backbone.checkpoint=/path/to/folder"
PUBLISHERS = ("facebook", "microsoft", "openai")
"""Whose plain names mean the Hub, unless there is a folder of that name: the encoders of the literature."""
NAMED_AT_MOST = 5
_LOG = logging.getLogger(__name__)


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
        checkpoint: a folder with config.json and weights in one of `FILES`, of any of transformers' classes over this
            encoder, whose heads are left out; one of an adapter of PEFT, which is folded into its base; or
            ``hf:owner/name[@revision]`` on the Hugging Face Hub, which the plain names of `PUBLISHERS` stand for too.
            Its preprocessor_config.json decides whether clips are normalised.
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
    adapter = folder if is_adapter(folder) else None
    if adapter is not None:
        folder = base_of(adapter, download=download)
    config = settings_of(folder / "config.json")
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
    weights = open_weights(folder, cure=CURE)
    if adapter is not None:
        weights = merged(adapter, weights, model_type=backbone_class.model_type, anchor=backbone_class.anchor)
    names = fitting_names(without_memory(build), weights.header, source=str(checkpoint))
    with nothing_drawn():
        model = build()
    own = model.state_dict()
    weights.read_into({name: own[own_name] for own_name, name in names.items()})
    _refuse(model, {"not finite": [name for name, tensor in own.items() if not is_finite(tensor)]}, str(checkpoint))
    if model.obeys_do_normalize:
        hearing = adapter if adapter is not None and (adapter / PREPROCESSOR).is_file() else folder
        model.normalize = normalization_of(hearing / PREPROCESSOR)
    dropped = left_out(weights.header, backbone_class.anchor)
    if dropped:
        _LOG.info("%s: used as an encoder; left out of it: %s", checkpoint, in_words(dropped))
    return model


def normalization_of(path: Path) -> Literal["clip", "none"]:
    """Normalisation that a published folder of the wav2vec 2.0 family asks for, by its preprocessor_config.json.

    Without one, or without the key, it is transformers' own default, and a warning says so.

    Raises:
        ModelError: for one that says something else than true or false.
    """
    do_normalize = settings_of(path).get("do_normalize") if path.exists() else None
    if not isinstance(do_normalize, bool | None):
        raise ModelError(f"{path}: do_normalize is {do_normalize!r}, expected true or false. {CURE}")
    if do_normalize is None:
        _LOG.warning(
            "%s does not say whether clips are normalised: they are, as transformers does by default. For a model that"
            ' was trained without, such as WavLM Base, write {"do_normalize": false} into it.',
            path,
        )
    return "none" if do_normalize is False else "clip"


def load_weights(backbone: Backbone, state: Mapping[str, Tensor], *, source: str) -> None:
    """Copies a published state dict into a backbone, all of it or nothing.

    Args:
        backbone: what to fill.
        state: weights under any prefix that `adapt_state_dict` knows.
        source: where they come from, for the message.

    Raises:
        ModelError: if a weight is missing, unexpected, of the wrong shape or not finite.
    """
    names = fitting_names(backbone, state, source=source)
    _refuse(backbone, {"not finite": [own for own, name in names.items() if not is_finite(state[name])]}, source)
    backbone.load_state_dict({own: state[name] for own, name in names.items()})


def fitting_names(backbone: Backbone, state: Mapping[str, Tensor], *, source: str, cure: str = CURE) -> dict[str, str]:
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
    _refuse(backbone, faults, source, cure=cure)
    return {own: name_of[id(tensor)] for own, tensor in weights.items()}


def _refuse(backbone: Backbone, faults: Mapping[str, list[str]], source: str, *, cure: str = CURE) -> None:
    found = [f"  {len(names)} {kind}: {_first(names)}" for kind, names in faults.items() if names]
    if found:
        raise ModelError(
            f"The weights of {source} do not fit {backbone.model_type} with {backbone.num_layers} layers:\n"
            + "\n".join(found)
            + f"\nThe download may be broken, or its config.json belongs to another model. {cure}"
        )


def _first(names: list[str]) -> str:
    more = f", and {len(names) - NAMED_AT_MOST} more" if len(names) > NAMED_AT_MOST else ""
    return ", ".join(names[:NAMED_AT_MOST]) + more


def folder_of_card(checkpoint: str, revision: str | None = None, *, download: Download = download_snapshot) -> Path:
    """Folder with a checkpoint's card; of the Hub nothing but the card is fetched.

    Raises:
        ModelError: if there is no such checkpoint.
    """
    found = _located(checkpoint)
    if isinstance(found, Path):
        return found
    return fetch(found, patterns=[], what="checkpoint's card", revision=revision, download=download).folder


def _folder(checkpoint: str, revision: str | None, download: Download) -> Path:
    """The local folder of a checkpoint, fetched first where it is a name on the Hub."""
    found = _located(checkpoint)
    if isinstance(found, Path):
        return found
    return fetch_published(found, what="checkpoint", revision=revision, download=download)


def local_checkpoint(checkpoint: str) -> Path:
    """Path of a checkpoint if it is a folder here, which need not exist."""
    return Path(os.path.expanduser(checkpoint))  # noqa: PTH111 (Path's own raises for an unknown user)


def _located(checkpoint: str) -> Path | str:
    """A checkpoint's local folder, or its name on the Hub."""
    local = local_checkpoint(checkpoint)
    if local.is_dir():
        return local
    if local.exists():
        raise ModelError(f"'{checkpoint}' is a file, expected the folder that holds config.json. {CURE}")
    owner = checkpoint.partition("/")[0]
    is_published = owner in PUBLISHERS and not Path(owner).exists()
    if not (is_hub_name(checkpoint) or is_published):
        raise no_folder(checkpoint, "checkpoint", cure=CURE)
    return PREFIX + checkpoint.removeprefix(PREFIX)


def settings_of(path: Path) -> dict[str, Any]:
    """Settings in a JSON file of a checkpoint.

    Raises:
        ModelError: when it cannot be read.
    """
    try:
        return read_json(path, "The checkpoint's file")
    except TableError as error:
        raise ModelError(f"{path.name} cannot be read: {error} {CURE}") from error
