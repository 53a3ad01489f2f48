"""Vox-Profile's emotion models over WavLM Large: a weighted sum, a network on each frame, the mean, small heads.

Facts of the published files: the weighted sum ends with the normed last state, clips are normalised, three dimensions
with a head each that ends in a sigmoid, nine classes, clips of 3 to 15 s.

Reference:
    Feng et al. (2025), Vox-Profile: A Speech Foundation Model Benchmark for Characterizing Diverse Speaker and Speech
    Traits, arXiv 2505.14648.
"""

# pyright: strict, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor

from emotune.audio.preprocessing import Preprocessing
from emotune.models.published.checkpoint_format import CheckpointFormat, Description, PublishedFolder, in_folder, linear
from emotune.models.published.labels import dimensions, expect_names, space_of
from emotune.models.published.shapes import config_of
from emotune.schema.labels import LabelSpace

CLASSES = ("Anger", "Contempt", "Disgust", "Fear", "Happiness", "Neutral", "Sadness", "Surprise", "Other")
DIMENSIONS = ("arousal", "valence", "dominance")
_LONGEST_S = 15.0
_NOTE = "trained on clips of 3 to 15 s: a longer one is cut, a shorter one is answered as it is"
_FRAMES = ("model_seq.0", "model_seq.3", "model_seq.6")
_CLASSES = "emotion_layer"
_DETAILED = "detailed_out_layer"


def _of(layer: str) -> list[str]:
    return [f"{layer}.{place}.{part}" for place in (0, 2) for part in ("weight", "bias")]


class VoxProfile(CheckpointFormat):
    """Heads on the mean over frames that each passed three layers with ReLU between them."""

    about = "Vox-Profile emotion model over WavLM"

    @classmethod
    def fits(cls, names: Collection[str]) -> bool:
        return "weights" in names and "model_seq.0.weight" in names and "arousal_layer.0.weight" in names

    @classmethod
    def describe(cls, folder: PublishedFolder) -> Description:
        weights = folder.weights.header
        if (folder.preprocessor or {}).get("do_normalize") is False:
            raise in_folder(folder, "do_normalize is false, and this format was trained on normalised clips.")
        has_classes = f"{_CLASSES}.2.weight" in weights
        if has_classes:
            _check_classes(folder, len(weights[f"{_CLASSES}.2.weight"]))
        layers = [f"{name}_layer" for name in DIMENSIONS] + ([_CLASSES] if has_classes else [])
        lacking = [name for layer in layers for name in _of(layer) if name not in weights]
        if lacking:
            raise in_folder(folder, f"it lacks {', '.join(lacking[:5])}, so that a head would be of random weights.")
        return Description(
            backbone={**config_of(weights, "wavlm", source=folder.path), "final_norm": True},
            space=LabelSpace(space_of(folder, CLASSES).classes if has_classes else (), dimensions(DIMENSIONS, 0, 1)),
            options=_options(weights, has_classes=has_classes),
            preprocessing=Preprocessing("clip", max_duration_s=_LONGEST_S, too_long="cut"),
            used=[
                "weights",
                *(f"{layer}.{part}" for layer in _FRAMES for part in ("weight", "bias")),
                *(name for layer in layers for name in _of(layer)),
            ],
            head=partial(_head, has_classes=has_classes),
            left_out=_of(_DETAILED),
            note=_NOTE,
        )


def _check_classes(folder: PublishedFolder, outputs: int) -> None:
    if outputs != len(CLASSES):
        raise in_folder(folder, f"its head has {outputs} classes, and this format is known with {len(CLASSES)}.")
    expect_names(folder, CLASSES)


def _options(weights: Mapping[str, Tensor], *, has_classes: bool) -> dict[str, Any]:
    hidden = sum(len(weights[f"{name}_layer.0.weight"]) for name in DIMENSIONS)
    networks = {"dimensions": {"hidden_size": hidden, "activation": "relu", "sigmoid": True}}
    if has_classes:
        networks["classes"] = {"hidden_size": len(weights[f"{_CLASSES}.0.weight"]), "activation": "relu"}
    sizes = [len(weights[f"{layer}.weight"]) for layer in _FRAMES]
    return {
        "layer_mix": "weighted_sum",
        "pooling": {"name": "projected_mean", "sizes": sizes},
        "networks": networks,
    }


def _head(weights: Mapping[str, Tensor], *, has_classes: bool) -> dict[str, Tensor]:
    """Three heads of one dimension each are one head whose second layer is block by block."""
    found = {"layer_mix.logits": weights["weights"]}
    for place, layer in enumerate(_FRAMES):
        found[f"pooling.layers.{place}.weight"] = weights[f"{layer}.weight"].squeeze(-1)
        found[f"pooling.layers.{place}.bias"] = weights[f"{layer}.bias"]
    for part, join in (("weight", torch.cat), ("bias", torch.cat)):
        found[f"heads.dimensions.hidden.0.{part}"] = join([weights[f"{name}_layer.0.{part}"] for name in DIMENSIONS])
    outs = [weights[f"{name}_layer.2.weight"] for name in DIMENSIONS]
    found["heads.dimensions.out.weight"] = torch.block_diag(*outs)
    found["heads.dimensions.out.bias"] = torch.cat([weights[f"{name}_layer.2.bias"] for name in DIMENSIONS])
    if has_classes:
        found |= linear(weights, f"{_CLASSES}.0", "heads.classes.hidden.0")
        found |= linear(weights, f"{_CLASSES}.2", "heads.classes.out")
    return found
