"""Weights of a base with an adapter of PEFT folded in, read like those of any folder.

W' = W + s B A for a LoRA; for a DoRA the rows of that, each brought to the length that was learnt.

Reference:
    Hu et al. (2021), LoRA, arXiv 2106.09685; Liu et al. (2024), DoRA, arXiv 2402.09353, section 4.1.
"""

# pyright: strict, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from emotune.errors import ModelError
from emotune.models.backbones.parts_on_top import CLASSIFICATION, left_out
from emotune.models.folder import PEFT_CONFIG
from emotune.models.peft.settings import PeftSettings, read_settings
from emotune.models.weight_files import StateDict, Weights, read_pickle
from emotune.models.weights import WeightsFile

FILES = ("adapter_model.safetensors", "adapter_model.bin")
WRAPPED = "base_model.model."
"""before the names of the wrapped model in a file of PEFT"""
UNHEARD = {"wavlm": re.compile(r"(.*\.)?attention\.(q|k|v|out)_proj")}
"""Type of an encoder -> its layers whose weights transformers reads and which it never calls: an adapter there did
nothing while it was trained."""
_BIAS, _LENGTHS = "lora_B.bias", "lora_magnitude_vector"
_PART = re.compile(r"(?P<layer>.+)\.(?P<part>lora_A\.weight|lora_B\.(weight|bias)|lora_magnitude_vector(\.weight)?)")
_CURE = "Copy the adapter again, or name the base that it was trained on in adapter_config.json."
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Change:
    """Change of one linear layer.

    Args:
        down: A, shape (rank, inputs).
        up: B, shape (outputs, rank).
        scale: factor of B A.
        lengths: of the rows of the result, shape (outputs,); None = as they come out.
    """

    down: Tensor
    up: Tensor
    scale: float
    lengths: Tensor | None

    @torch.no_grad()
    def apply(self, weight: Tensor) -> None:
        """Folds the change into a weight, shape (outputs, inputs), in place."""
        weight += (self.scale * (self.up @ self.down)).to(weight.dtype)
        if self.lengths is not None:
            weight *= (self.lengths / torch.linalg.vector_norm(weight, dim=1))[:, None]


@dataclass(frozen=True)
class MergedWeights:
    """Weights of a base, some of them changed, some replaced or added.

    Args:
        base: its own weights.
        names: name of each weight here -> in the base.
        changes: name of a weight -> what is folded into it.
        shifts: name of a bias -> what is added to it, shape (outputs,).
        replaced: name -> value that stands in its place.
        files: of the base and of the adapter.
    """

    base: Weights
    names: Mapping[str, str]
    changes: Mapping[str, Change]
    shifts: Mapping[str, Tensor]
    replaced: Mapping[str, Tensor]
    files: Sequence[Path]

    @property
    def header(self) -> dict[str, Tensor]:
        own = {name: self.base.header[theirs] for name, theirs in self.names.items() if name not in self.replaced}
        return own | {name: tensor.to("meta") for name, tensor in self.replaced.items()}

    @torch.no_grad()
    def read_into(self, places: Mapping[str, Tensor]) -> None:
        own = {self.names[name]: place for name, place in places.items() if name not in self.replaced}
        self.base.read_into(own)
        for name, place in places.items():
            if name in self.replaced:
                place.copy_(self.replaced[name])
            if name in self.changes:
                self.changes[name].apply(place)
            if name in self.shifts:
                place.add_(self.shifts[name])


def merged(folder: Path, base: Weights, *, model_type: str, anchor: str) -> MergedWeights:
    """The weights of a base with the adapter of a folder folded in.

    Adapters on layers that transformers never calls are left out, and a warning says so: the results are then those
    that the adapter was trained with.

    Args:
        folder: of the adapter.
        base: weights of the model that it changes.
        model_type: of the base's config.
        anchor: the weight by which the encoder is found; of what lies beside it in the base only a classification is
            kept.

    Raises:
        ModelError: for an adapter that is not known, is damaged, or does not fit the base.
    """
    settings = read_settings(folder)
    path, values = _values_of(folder)
    strange = [name for name in values if not name.startswith(WRAPPED)]
    if strange:
        raise ModelError(f"{path}: {strange[0]} does not begin with {WRAPPED}. {_CURE}")
    values = {name.removeprefix(WRAPPED).replace(".base_layer.", "."): value for name, value in values.items()}
    parts: dict[str, dict[str, Tensor]] = {}
    replaced: dict[str, Tensor] = {}
    for name, value in values.items():
        if found := _PART.fullmatch(name):
            parts.setdefault(found["layer"], {})[_LENGTHS if "magnitude" in found["part"] else found["part"]] = value
        else:
            replaced[name] = value
    names, beside = _names(path, [f"{layer}.weight" for layer in parts], base.header)
    dropped = {name for part, own in left_out(base.header, anchor).items() if part != CLASSIFICATION for name in own}
    names = {name: theirs for name, theirs in names.items() if theirs not in dropped}
    parts = {beside + layer: own for layer, own in parts.items()}
    replaced = {beside + name if beside + name in names else name: value for name, value in replaced.items()}
    _without_effect(folder, parts, model_type)
    shapes = {name: base.header[theirs].shape for name, theirs in names.items()}
    biased = {layer: own[_BIAS] for layer, own in parts.items() if _BIAS in own}
    return MergedWeights(
        base,
        names,
        {f"{layer}.weight": _change(path, layer, own, settings, shapes, beside) for layer, own in parts.items()},
        {f"{layer}.bias": bias * settings.scale_of(layer.removeprefix(beside)) for layer, bias in biased.items()},
        replaced,
        [*base.files, folder / PEFT_CONFIG, path],
    )


def _values_of(folder: Path) -> tuple[Path, dict[str, Tensor]]:
    """The file of an adapter and its weights."""
    path = next((folder / name for name in FILES if (folder / name).is_file()), None)
    if path is None:
        raise ModelError(f"{folder} holds no weights of an adapter: expected {' or '.join(FILES)}. {_CURE}")
    file = WeightsFile.open(path) if path.suffix == ".safetensors" else StateDict(read_pickle(path, cure=_CURE), [path])
    values = {name: torch.empty(tensor.shape) for name, tensor in file.header.items()}
    file.read_into(values)
    spoilt = [name for name, value in values.items() if not bool(value.isfinite().all())]
    if spoilt:
        raise ModelError(f"{path}: {spoilt[0]} holds NaN or infinite values. {_CURE}")
    return path, values


def _names(path: Path, changed: Sequence[str], header: Mapping[str, Tensor]) -> tuple[dict[str, str], str]:
    """Name of each weight of the base as the adapter's model has it, and what stands before the adapter's own names.

    A base saved as the bare encoder lacks the prefix that the model around it has, or has one that it lacks.
    """
    if not changed:
        raise ModelError(f"{path} holds no LoRA. {_CURE}")
    first, fitting = changed[0], set[tuple[str, str]]()
    for name in header:
        if first == name or first.endswith("." + name):
            fitting.add((first.removesuffix(name), ""))
        elif name.endswith("." + first):
            fitting.add(("", name.removesuffix(first)))
    fitting = {(before, beside) for before, beside in fitting if all(_in(n, before, beside, header) for n in changed)}
    if len(fitting) != 1:
        missing = next((name for name in changed if not any(_is_end(name, own) for own in header)), first)
        raise ModelError(f"{path} does not fit its base: no weight, or more than one, is its {missing}. {_CURE}")
    ((before, beside),) = fitting
    return {before + name: name for name in header}, beside


def _in(name: str, before: str, beside: str, header: Mapping[str, Tensor]) -> bool:
    return name.startswith(before) and beside + name.removeprefix(before) in header


def _is_end(name: str, own: str) -> bool:
    return name == own or name.endswith("." + own) or own.endswith("." + name)


def _without_effect(folder: Path, parts: dict[str, dict[str, Tensor]], model_type: str) -> None:
    """Takes out the adapters that did nothing while they were trained, and says so."""
    pattern = UNHEARD.get(model_type)
    unheard = [layer for layer in parts if pattern is not None and pattern.fullmatch(layer)]
    for layer in unheard:
        del parts[layer]
    if unheard:
        kinds = ", ".join(sorted({layer.rsplit(".", 1)[-1] for layer in unheard}))
        _LOG.warning(
            "%s: %d adapters on %s of WavLM's attention are left out: transformers reads the weights of these layers"
            " and does not call them, so they had no effect while the adapter was trained.%s",
            folder,
            len(unheard),
            kinds,
            "" if parts else " Nothing else of it changes the encoder.",
        )


def _change(
    path: Path,
    layer: str,
    parts: Mapping[str, Tensor],
    settings: PeftSettings,
    shapes: Mapping[str, Sequence[int]],
    beside: str,
) -> Change:
    """The change of a layer, once its parts are known to fit each other and the weight.

    The settings name it without what stands before it in the base alone.

    Raises:
        ModelError: naming the layer.
    """
    lengths = parts.get(_LENGTHS)
    if settings.is_dora != (lengths is not None):
        there = "lacks" if lengths is None else "holds"
        raise ModelError(f"{path}: use_dora is {str(settings.is_dora).lower()}, and {layer} {there} lengths. {_CURE}")
    if lengths is not None and _BIAS in parts:
        raise ModelError(
            f"{path}: {layer} has a bias of its LoRA beside the lengths of a DoRA, which is not known. {_CURE}"
        )
    own = layer.removeprefix(beside)
    shape, rank = shapes[f"{layer}.weight"], settings.rank_of(own)
    if len(shape) != 2:
        raise ModelError(
            f"{path} changes {layer}, a convolution; only changes of linear layers are known. Merge it with peft"
            " (merge_and_unload), save the result, and name that folder."
        )
    down, up = parts.get("lora_A.weight"), parts.get("lora_B.weight")
    wanted = {"lora_A.weight": (rank, shape[1]), "lora_B.weight": (shape[0], rank)}
    wanted |= {} if lengths is None else {_LENGTHS: (shape[0],)}
    wanted |= {_BIAS: (shape[0],)} if _BIAS in parts else {}
    for part, expected in wanted.items():
        found = tuple(parts[part].shape) if part in parts else None
        if found != expected:
            said = "is missing" if found is None else f"has shape {list(found)}, expected {list(expected)}"
            raise ModelError(f"{path}: {part} of {layer} {said}. {_CURE}")
    assert down is not None and up is not None
    return Change(down, up, settings.scale_of(own), lengths)
