"""A folder of a bare encoder, as ``model.backbone.checkpoint`` and every command that takes an encoder reads it."""

# pyright: strict, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

from emotune.io.tables import to_json, write_text
from emotune.models.backbones.base import Backbone
from emotune.models.folder import CONFIG, PREPROCESSOR, WEIGHTS


def write_encoder(
    folder: Path, config: Mapping[str, Any], weights: Mapping[str, Tensor], *, normalize: bool | None
) -> None:
    """Writes config, weights in float32, and, where it is known, whether clips are normalised, into a folder."""
    write_text(folder / CONFIG, to_json(dict(config)) + "\n")
    if normalize is not None:
        said = {
            "feature_extractor_type": "Wav2Vec2FeatureExtractor",
            "do_normalize": normalize,
            "sampling_rate": 16000,
        }
        write_text(folder / PREPROCESSOR, to_json(said) + "\n")
    values = {name: tensor.detach().to("cpu", torch.float32).contiguous().clone() for name, tensor in weights.items()}
    safetensors.torch.save_file(values, folder / WEIGHTS, metadata={"format": "pt"})


def save_encoder(folder: Path, encoder: Backbone) -> None:
    """Writes an encoder into a folder that is there."""
    normalize = encoder.normalize == "clip" if encoder.obeys_do_normalize else None
    write_encoder(folder, encoder.config, encoder.state_dict(), normalize=normalize)
