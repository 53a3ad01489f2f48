"""emotion2vec+ as FunASR's folders hold it: ``model.pt``, ``config.yaml`` and ``tokens.txt``.

Facts of these folders: the waveform is brought to mean 0 and variance 1 as a whole (floor 1e-5), the last state is
averaged over its frames without the extra tokens, and one linear layer gives nine classes.

Reference:
    Ma et al. (2023), emotion2vec: Self-Supervised Pre-Training for Speech Emotion Representation, arXiv 2312.15185.
"""

# pyright: strict, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from torch import Tensor

from emotune.audio.preprocessing import Preprocessing
from emotune.models.backbones.emotion2vec import Emotion2vec as Encoder
from emotune.models.backbones.parts_on_top import prefix_of_encoder
from emotune.models.published.checkpoint_format import (
    CheckpointFormat,
    Description,
    PublishedFolder,
    expect,
    in_folder,
    linear,
)
from emotune.models.published.labels import space_of

CLASSES = ("angry", "disgusted", "fearful", "happy", "neutral", "other", "sad", "surprised", "unknown")
_TOKENS = "tokens.txt"
_AUDIO = "modality_encoders.AUDIO."
_LAYER_NORM_FLOOR = 1e-5
_MODEL: Mapping[str, Any] = {"normalize": True, "layer_norm_first": False, "norm_eps": 1e-5, "norm_affine": True}
_MODALITY: Mapping[str, Any] = {
    "use_alibi_encoder": True,
    "learned_alibi": False,
    "learned_alibi_scale_per_layer": False,
    "conv_pos_pre_ln": False,
    "extractor_mode": "layer_norm",
}


class Emotion2vecPlus(CheckpointFormat):
    """Mean of the last state and one linear layer."""

    about = "emotion2vec+, as FunASR publishes it"

    @classmethod
    def fits(cls, names: Collection[str]) -> bool:
        return any(name.endswith(f"{_AUDIO}extra_tokens") for name in names)

    @classmethod
    def describe(cls, folder: PublishedFolder) -> Description:
        weights = folder.weights.header
        model = _section(folder, folder.config, "model_conf")
        audio = _section(folder, _section(folder, model, "modalities"), "audio")
        for key, known in _MODEL.items():
            expect(folder, model, key, known)
        for key, known in _MODALITY.items():
            expect(folder, audio, key, known)
        if "proj.weight" not in weights:
            raise in_folder(folder, "it has no head (proj): it is the encoder alone, and answers nothing yet.")
        _check_tokens(folder, len(weights["proj.weight"]))
        return Description(
            backbone=_config(folder),
            space=space_of(folder, CLASSES),
            options={"layer_mix": "last", "pooling": "mean"},
            preprocessing=Preprocessing("clip", variance_floor=_LAYER_NORM_FLOOR),
            used=["proj.weight", "proj.bias"],
            head=_head,
            left_out=[name for name in weights if name.startswith((f"{_AUDIO}decoder.", "_ema."))],
        )


def _head(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return linear(weights, "proj", "heads.classes.out")


def _section(folder: PublishedFolder, settings: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = settings.get(key)
    if not isinstance(found, dict):
        raise in_folder(folder, f"config.yaml has no section {key}, which says how its model is made.")
    return found


def _config(folder: PublishedFolder) -> dict[str, Any]:
    """Config of the encoder, from the shapes of its weights."""
    weights = folder.weights.header
    if prefix_of_encoder(weights, Encoder.anchor) != "":
        raise in_folder(folder, f"it holds no encoder that is known: no weight is called {Encoder.anchor}.")
    try:
        convolutions = [
            weights[f"{_AUDIO}local_encoder.conv_layers.{place}.0.weight"].shape
            for place in range(_count(weights, rf"{_AUDIO}local_encoder\.conv_layers\.(\d+)\."))
        ]
        position = weights[f"{_AUDIO}relative_positional_encoder.1.0.weight"].shape
        hidden_size, per_group, kernel = position
        heads = weights[f"{_AUDIO}alibi_scale"].shape[2]
        inner = weights["blocks.0.mlp.fc1.weight"].shape[0]
        dims, kernels = [shape[0] for shape in convolutions], [shape[2] for shape in convolutions]
        groups = hidden_size // per_group
    except (KeyError, IndexError, ValueError, ZeroDivisionError) as error:
        raise in_folder(folder, f"its weights are not those of emotion2vec: {error}, missing or misshapen.") from error
    prenet = _count(weights, rf"{_AUDIO}context_encoder\.blocks\.(\d+)\.")
    return {
        "model_type": "emotion2vec",
        "hidden_size": hidden_size,
        "num_hidden_layers": prenet + _count(weights, r"blocks\.(\d+)\."),
        "num_prenet_layers": prenet,
        "num_attention_heads": heads,
        "intermediate_size": inner,
        "conv_dim": dims,
        "conv_kernel": kernels,
        "num_conv_pos_embeddings": _count(weights, rf"{_AUDIO}relative_positional_encoder\.(\d+)\."),
        "conv_pos_kernel_size": kernel,
        "num_conv_pos_embedding_groups": groups,
        "num_extra_tokens": weights[f"{_AUDIO}extra_tokens"].shape[1],
    }


def _count(weights: Collection[str], pattern: str) -> int:
    found = (re.match(pattern, name) for name in weights)
    return len({match[1] for match in found if match})


def _check_tokens(folder: PublishedFolder, outputs: int) -> None:
    """Refuses other classes than the nine, or another order; each line of the file may have a Chinese word before."""
    path = folder.path / _TOKENS
    text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    found = [line.rsplit("/", 1)[-1].strip().replace("<unk>", "unknown") for line in text.splitlines() if line.strip()]
    if outputs != len(CLASSES) or (found and tuple(found) != CLASSES):
        stated = ", ".join(found) or f"{outputs} classes without names"
        raise in_folder(folder, f"{_TOKENS} has {stated}; this format is known with {', '.join(CLASSES)}.")
