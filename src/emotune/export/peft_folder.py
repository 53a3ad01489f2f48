"""Export of a model that LoRA trained as an adapter folder of PEFT, over the encoder that it started from.

What training added is the difference of both, and of low rank: its singular vectors are the two matrices of a LoRA.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from torch import Tensor

from emotune.errors import ConfigError, ModelError
from emotune.export.source import source_of
from emotune.export.transformers_folder import CLASSES, LARGEST_DIFFERENCE, classifier_of, extractor_of, obstacles
from emotune.io.hub import PREFIX, is_hub_name
from emotune.io.new_folders import new_folder
from emotune.io.tables import to_json, write_text
from emotune.models.backbones.base import Backbone
from emotune.models.backbones.checkpoint import load_pretrained
from emotune.models.folder import CONFIG, PEFT_CONFIG, PREPROCESSOR
from emotune.models.peft.merged import FILES, UNHEARD, WRAPPED
from emotune.models.store import StoredModel, load_model

_LARGEST_SHARE = 4
"""a difference whose rank is more than this part of the smaller side was not made by LoRA"""
_NOISE = 8.0
"""times the rounding of float32: what is smaller is no change"""


@dataclass(frozen=True)
class PeftExport:
    """Outcome of an export.

    Args:
        folder: that was written.
        rank: of the adapter.
        layers: number of layers that it changes.
        with_head: whether transformers' classification has the model's head, which is then in the folder too.
        beside: parts of the model that transformers does not have; empty with the head.
        difference: largest one of a state of the encoder, read back by emotune.
    """

    folder: Path
    rank: int
    layers: int
    with_head: bool
    beside: tuple[str, ...]
    difference: float


def export_for_peft(model: str | Path, output: Path, *, base: str) -> PeftExport:
    """Writes what LoRA changed of an encoder as an adapter of PEFT, with the head where transformers has the same.

    Args:
        model: a model folder, a run folder, or ``hf:owner/name[@revision]``.
        output: folder to make; it must not be there yet.
        base: the encoder that training started from, as ``model.backbone.checkpoint`` of the recipe names it.

    Raises:
        ConfigError: where something else than linear layers of the encoder was changed, or more than LoRA changes.
        ModelError: when a model cannot be loaded, or the adapter read back gives other states.
    """
    found = source_of(model, output)
    stored = load_model(found.folder)
    stored.model.merge_adapter()
    backbone = stored.model.backbone
    start = load_pretrained(backbone.model_type, base, final_norm=backbone.final_norm is not None)
    if start.config != backbone.config:
        raise ConfigError(
            f"{base} has another encoder than {found.name}, or more layers. Name the one it started from."
        )
    changes = dict(_changes(start, backbone, name=found.name))
    beside = tuple(obstacles(stored.model, stored.preprocessing))
    if stored.model.options["layer_mix"] != "last":
        beside += ("its layer mix has weights of its own, which an adapter folder cannot hold",)
    with new_folder(output) as made:
        rank = _write(made, stored, changes, base=base, with_head=not beside)
        difference = _compare(backbone, made)
    return PeftExport(output, rank, len(changes), not beside, beside, difference)


def _changes(start: Backbone, backbone: Backbone, *, name: str) -> Iterator[tuple[str, tuple[Tensor, Tensor]]]:
    """Layers that were changed, each with A, shape (rank, inputs), and B, shape (outputs, rank)."""
    pattern = UNHEARD.get(backbone.model_type)
    before = start.state_dict()
    for key, after in backbone.state_dict().items():
        if torch.equal(before[key], after):
            continue
        layer, _, part = key.rpartition(".")
        if part != "weight" or after.ndim != 2:
            raise ConfigError(
                f"{name}: training changed {key}, which LoRA does not. Only what model.adapter.name: lora trained can"
                " be an adapter; `--format hf` writes the whole model."
            )
        if pattern is not None and pattern.fullmatch(layer):
            raise ConfigError(
                f"{name}: {layer} was trained, and transformers never calls that layer: its adapter would do nothing"
                " there. `--format hf` writes the whole model, which answers the same."
            )
        yield layer, _factors(before[key], after, key, name)


def _factors(before: Tensor, after: Tensor, key: str, name: str) -> tuple[Tensor, Tensor]:
    left, values, right = torch.linalg.svd(after.double() - before.double(), full_matrices=False)
    rounding = torch.finfo(torch.float32).eps * float(after.abs().max()) * max(after.shape) ** 0.5
    rank = max(int((values > _NOISE * rounding).sum()), 1)
    if rank * _LARGEST_SHARE > len(values):
        raise ConfigError(
            f"{name}: the change of {key} has rank {rank} of {len(values)}, more than LoRA makes. Was it trained in"
            " full, or from another encoder? `--format hf` writes the whole model."
        )
    root = values[:rank].sqrt()
    return (root[:, None] * right[:rank]).float(), (left[:, :rank] * root).float()


def _write(
    folder: Path, stored: StoredModel, changes: Mapping[str, tuple[Tensor, Tensor]], *, base: str, with_head: bool
) -> int:
    if not changes:
        raise ConfigError("The encoder is the one that it started from: there is no adapter to write.")
    architecture, prefix = CLASSES[stored.model.backbone.model_type]
    prefix = prefix if with_head else ""
    rank = max(len(down) for down, _ in changes.values())
    on_hub, _, revision = base.partition("@") if is_hub_name(base) else (base, "", "")
    tensors: dict[str, Tensor] = {}
    for layer, (down, up) in changes.items():
        missing = rank - len(down)
        at = f"{WRAPPED}{prefix}{layer}"
        tensors[f"{at}.lora_A.weight"] = torch.nn.functional.pad(down, (0, 0, 0, missing))
        tensors[f"{at}.lora_B.weight"] = torch.nn.functional.pad(up, (0, missing))
    settings: dict[str, Any] = {
        "peft_type": "LORA",
        "task_type": None if with_head else "FEATURE_EXTRACTION",
        "base_model_name_or_path": on_hub.removeprefix(PREFIX),
        "revision": revision or None,
        "inference_mode": True,
        "r": rank,
        "lora_alpha": rank,
        "lora_dropout": 0.0,
        "bias": "none",
        "target_modules": [prefix + layer for layer in changes],
        "modules_to_save": ["projector", "classifier"] if with_head else None,
    }
    if with_head:
        head = classifier_of(stored)
        tensors |= {f"{WRAPPED}{name}": tensor for name, tensor in head.items()}
        classes = stored.model.label_space.classes
        config = {
            "architectures": [architecture],
            "classifier_proj_size": len(head["projector.bias"]),
            "use_weighted_layer_sum": False,
            "id2label": {str(place): name for place, name in enumerate(classes)},
            "label2id": {name: place for place, name in enumerate(classes)},
        }
        write_text(folder / CONFIG, to_json(config) + "\n")
    write_text(folder / PREPROCESSOR, to_json(extractor_of(stored)) + "\n")
    write_text(folder / PEFT_CONFIG, to_json(settings) + "\n")
    values = {name: tensor.detach().contiguous().clone() for name, tensor in tensors.items()}
    safetensors.torch.save_file(values, folder / FILES[0], metadata={"format": "pt"})
    return rank


@torch.no_grad()
def _compare(backbone: Backbone, made: Path) -> float:
    """Largest difference of a state on a generated clip."""
    noise = 0.1 * np.random.default_rng(0).standard_normal((1, 16000))
    clip = torch.from_numpy(noise.astype(np.float32))
    mask = torch.ones_like(clip, dtype=torch.bool)
    back = load_pretrained(backbone.model_type, made, final_norm=backbone.final_norm is not None)
    pairs = zip(backbone.eval()(clip, mask).states, back.eval()(clip, mask).states, strict=True)
    largest = max(float((one - other).abs().max()) for one, other in pairs)
    if not largest <= LARGEST_DIFFERENCE:  # NaN too
        raise ModelError(
            f"The adapter, read back, gives other states, by {largest:.2g}; at most {LARGEST_DIFFERENCE:g} is right."
            " Nothing was written."
        )
    return largest
