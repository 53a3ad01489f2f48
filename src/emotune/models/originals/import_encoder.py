"""Conversion of an encoder's original file to a folder as transformers writes it, checked by loading it."""

# pyright: strict, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from emotune.errors import ConfigError, ModelError
from emotune.io.new_folders import check_new, new_folder
from emotune.models.backbones.checkpoint import load_pretrained
from emotune.models.encoder_folder import write_encoder
from emotune.models.originals.inert import read_inert
from emotune.models.originals.layouts import LAYOUTS, Original, original_of
from emotune.models.originals.names import renamed, settings_of
from emotune.models.published.shapes import config_of

_ENCODERS = ("wavlm", "hubert", "wav2vec2")
_ANCHOR = "feature_extractor.conv_layers.0.conv.weight"


@dataclass(frozen=True)
class ImportedEncoder:
    """Outcome of a conversion.

    Args:
        folder: that was written.
        layout: of the file.
        model_type: of the encoder.
        parameters: of the encoder.
        left_out: names of weights that are no part of the encoder.
        normalize: whether its clips are normalised; None where the file does not say.
    """

    folder: Path
    layout: str
    model_type: str
    parameters: int
    left_out: tuple[str, ...]
    normalize: bool | None


def import_encoder(file: Path, output: Path, *, model_type: str | None = None) -> ImportedEncoder:
    """Writes the encoder of an original file as a folder that ``model.backbone.checkpoint`` takes.

    Args:
        file: a .pt, .ckpt or .bin of unilm, fairseq, S3PRL or SpeechBrain.
        output: folder to make; it must not be there yet.
        model_type: wavlm, hubert or wav2vec2; None = by the names of its weights. HuBERT and wav2vec 2.0 compute the
            same, and weights alone do not tell one from the other.

    Raises:
        ConfigError: for an output that is there, or an unknown type.
        ModelError: for a file that is broken, of no known layout, with weights that are not known, or that would run
            code.
    """
    check_new(output)
    if model_type not in (None, *_ENCODERS):
        raise ConfigError(f"Unknown type of encoder '{model_type}'. Known: {', '.join(_ENCODERS)}.")
    if not file.is_file():
        raise ModelError(f"{file} is no file; expected a checkpoint such as WavLM-Large.pt.")
    original = original_of(read_inert(file))
    if original is None:
        raise ModelError(f"{file} is of no known layout. Known: {'; '.join(LAYOUTS)}.")
    try:
        weights, dropped = _weights(original)
        kind = model_type or _type_of(weights, original)
        config = {**config_of(weights, kind, source="it"), **settings_of(original.settings)}
    except ModelError as error:
        raise ModelError(f"{file}: {error}") from error
    about = ImportedEncoder(output, original.layout, kind, 0, tuple(dropped), original.normalize)
    return _written(about, weights, config)


def _weights(original: Original) -> tuple[dict[str, Tensor], list[str]]:
    """Weights by transformers' names, without any prefix, and the names of those left out."""
    names = [name for name in original.weights if name.endswith(_ANCHOR)]
    if len(names) != 1:
        return renamed(original.weights)
    prefix = names[0].removesuffix(_ANCHOR)  # SpeechBrain stores transformers' own names
    inside = {name.removeprefix(prefix): tensor for name, tensor in original.weights.items() if name.startswith(prefix)}
    return inside, [name for name in original.weights if not name.startswith(prefix)]


def _type_of(weights: Mapping[str, Tensor], original: Original) -> str:
    if any(name.endswith("rel_attn_embed.weight") for name in weights):
        return "wavlm"
    said = str(original.settings.get("_name") or original.settings.get("arch") or "")
    is_hubert = "hubert" in said or "label_embs_concat" in original.weights
    return "hubert" if is_hubert else "wav2vec2"


def _written(about: ImportedEncoder, weights: Mapping[str, Tensor], config: Mapping[str, Any]) -> ImportedEncoder:
    output = about.folder
    with new_folder(output) as made:
        write_encoder(made, config, weights, normalize=about.normalize)
        try:
            loaded = load_pretrained(about.model_type, made)
        except ModelError as error:
            raise ModelError(str(error).replace(str(made), str(output))) from error
    return replace(about, parameters=sum(parameter.numel() for parameter in loaded.parameters()))
