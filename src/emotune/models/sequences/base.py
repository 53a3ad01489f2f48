"""Folders that hold an encoder-decoder: a published Whisper, or one that emotune trained."""

# pyright: strict, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import Tensor

from emotune.errors import ConfigError, ModelError
from emotune.io.tables import to_json, write_text
from emotune.models.backbones import BACKBONES
from emotune.models.backbones.base import Backbone
from emotune.models.backbones.checkpoint import fitting_names, settings_of
from emotune.models.folder import CONFIG, digest_of
from emotune.models.sequences.decoder import DECODER, Decoder
from emotune.models.sequences.encoder_decoder import EncoderDecoder
from emotune.models.sequences.spelling import TOKENIZER, CharacterSpelling, TokenizerSpelling
from emotune.models.weight_files import Weights, open_weights
from emotune.models.weights import is_finite, nothing_drawn, without_memory
from emotune.registry import unknown_name_message

KIND = "emotune-encoder-decoder"
WEIGHTS = "model.safetensors"
_CURE = "Name the folder of a whole Whisper, decoder and tokenizer.json included, or of a base that emotune trained."
_OWN = ("backbone", "decoder", "spelling", "prompt", "end", "normalize")


@dataclass(frozen=True)
class Base:
    """An encoder-decoder and where it is from.

    Args:
        model: in evaluation mode.
        folder: that it was read from; None = it was built anew.
        fingerprint: SHA-256 over its files, empty where there are none.
    """

    model: EncoderDecoder
    folder: Path | None = None
    fingerprint: str = ""


def load_base(name: str | Path) -> Base:
    """Reads an encoder-decoder.

    Args:
        name: a local folder of a published Whisper, or one that ``save_base`` wrote.

    Raises:
        ModelError: for anything else, or where a weight is missing, of the wrong shape or not finite.
    """
    folder = Path(name).expanduser()
    if not (folder / CONFIG).is_file():
        raise ModelError(f"{folder} has no {CONFIG}, so it is no encoder-decoder. {_CURE}")
    config = settings_of(folder / CONFIG)
    read = {"whisper": _whisper, KIND: _own}.get(str(config.get("model_type")))
    if read is None:
        raise ModelError(f"{folder} holds a model of type {config.get('model_type')!r} without a decoder. {_CURE}")
    weights = open_weights(folder, cure=_CURE)
    model = read(folder, config, weights)
    spoilt = [key for key, tensor in model.state_dict().items() if not is_finite(tensor)]
    if spoilt:
        raise ModelError(f"{folder}: {spoilt[0]} holds NaN or infinite values. {_CURE}")
    files = [folder / CONFIG, *weights.files, *(path for path in [folder / TOKENIZER] if path.exists())]
    return Base(model.eval(), folder.absolute(), digest_of(files))


def build_base(backbone: Backbone, decoder: Mapping[str, Any]) -> EncoderDecoder:
    """A decoder with random weights on top of an encoder; it spells by characters.

    Args:
        backbone: the encoder, which keeps its weights.
        decoder: keys of ``DECODER`` but for ``vocab_size``, all or some of them.

    Raises:
        ConfigError: for unknown keys or values that do not fit.
    """
    known = [key for key in DECODER if key != "vocab_size"]
    unknown = [key for key in decoder if key not in known]
    if unknown:
        raise ConfigError("decoder: " + unknown_name_message("key", unknown[0], known))
    spelling = CharacterSpelling()
    settings = _decoder_settings({**decoder, "vocab_size": spelling.texts + 3})
    start, task, end = range(spelling.texts, spelling.texts + 3)
    made = Decoder(settings, memory_size=backbone.hidden_size)
    return EncoderDecoder(backbone, made, spelling, prompt=[start, task], end=end)


def save_base(folder: Path, base: EncoderDecoder, *, tokenizer: Path | None = None) -> None:
    """Writes an encoder-decoder.

    Args:
        folder: for it, which may be there.
        base: what is written.
        tokenizer: the tokenizer.json of a base that has one.
    """
    folder.mkdir(parents=True, exist_ok=True)
    by_characters = isinstance(base.spelling, CharacterSpelling)
    config = {
        "model_type": KIND,
        "backbone": base.backbone.config,
        "decoder": base.decoder.settings,
        "spelling": {"name": "characters"} if by_characters else {"name": "tokenizer", "texts": base.spelling.texts},
        "prompt": list(base.prompt),
        "end": base.end,
        "normalize": base.backbone.normalize,
    }
    if not by_characters:
        assert tokenizer is not None
        if tokenizer.absolute() != (folder / TOKENIZER).absolute():
            shutil.copyfile(tokenizer, folder / TOKENIZER)
    save_file({name: tensor.contiguous() for name, tensor in base.state_dict().items()}, folder / WEIGHTS)
    write_text(folder / CONFIG, to_json(config) + "\n")


def _decoder_settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """Keys of a decoder with their defaults.

    Raises:
        ConfigError: for values that are of another kind or do not fit together.
    """
    settings = {key: config.get(key, default) for key, default in DECODER.items()}
    for key, default in DECODER.items():
        value = settings[key]
        number = isinstance(value, int | float) and not isinstance(value, bool)
        right = number and (0 <= value < 1 if isinstance(default, float) else isinstance(value, int) and value >= 1)
        if not right:
            expected = "a number in [0, 1)" if isinstance(default, float) else "a whole number from 1"
            raise ConfigError(f"decoder: {key} is {value!r}, expected {expected}.")
    if settings["d_model"] % settings["decoder_attention_heads"]:
        raise ConfigError(
            f"decoder: d_model is {settings['d_model']}, expected a multiple of decoder_attention_heads ="
            f" {settings['decoder_attention_heads']}."
        )
    return settings


def _whisper(folder: Path, config: Mapping[str, Any], weights: Weights) -> EncoderDecoder:
    """A published Whisper, which is to transcribe without time stamps."""
    if config.get("scale_embedding"):
        raise ModelError(f"{folder / CONFIG}: scale_embedding is not supported. {_CURE}")
    prefix = "model.decoder." if any(name.startswith("model.decoder.") for name in weights.header) else "decoder."
    if not any(name.startswith(prefix) for name in weights.header):
        raise ModelError(f"{folder} holds an encoder without its decoder. {_CURE}")
    settings = _settings_of(folder, config)
    end = config.get("eos_token_id")
    if not isinstance(end, int):
        raise ModelError(f"{folder / CONFIG}: eos_token_id is {end!r}, expected a token. {_CURE}")
    spelling = TokenizerSpelling(folder / TOKENIZER, texts=end)
    backbone = _encoder_of_whisper(folder, config, weights)
    build = partial(Decoder, settings, memory_size=backbone.hidden_size)
    _refuse_misfit(
        folder, {f"{prefix}{key}": value for key, value in without_memory(build).state_dict().items()}, weights
    )
    with nothing_drawn():
        decoder = build()
    weights.read_into({f"{prefix}{key}": tensor for key, tensor in decoder.state_dict().items()})
    number = spelling.tokenizer.token_to_id
    words = ["<|startoftranscript|>", "<|notimestamps|>"]
    if number("<|en|>") is not None and end != 50256:  # the models for English alone end with this token
        words = ["<|startoftranscript|>", "<|en|>", "<|transcribe|>", "<|notimestamps|>"]
    known = {word: token for word in words if (token := number(word)) is not None}
    missing = [word for word in words if word not in known]
    if missing:
        raise ModelError(f"{folder / TOKENIZER} has no {missing[0]}, so it is no tokenizer of Whisper. {_CURE}")
    return EncoderDecoder(backbone, decoder, spelling, prompt=[known[word] for word in words], end=end)


def _encoder_of_whisper(folder: Path, config: Mapping[str, Any], weights: Weights) -> Backbone:
    """The encoder with the norm behind its last layer."""
    encoder = BACKBONES["whisper"]
    try:
        build = partial(encoder.from_config, {**encoder.read_config(config), "final_norm": True})
    except ConfigError as error:
        raise ModelError(f"{folder / CONFIG} is not as expected. {error}") from error
    names = fitting_names(without_memory(build), weights.header, source=str(folder), cure=_CURE)
    with nothing_drawn():
        backbone = build()
    own = backbone.state_dict()
    weights.read_into({name: own[key] for key, name in names.items()})
    return backbone


def _own(folder: Path, config: Mapping[str, Any], weights: Weights) -> EncoderDecoder:
    """One that ``save_base`` wrote."""
    missing = [key for key in _OWN if key not in config]
    if missing:
        raise ModelError(f"{folder / CONFIG} lacks {', '.join(missing)}. Copy the folder again.")
    try:
        found = config["spelling"]
        by_characters = found["name"] == "characters"
        spelling = CharacterSpelling() if by_characters else TokenizerSpelling(folder / TOKENIZER, texts=found["texts"])
        settings, encoder = _decoder_settings(config["decoder"]), config["backbone"]

        def build() -> EncoderDecoder:
            backbone = BACKBONES[encoder["model_type"]].from_config(encoder)
            decoder = Decoder(settings, memory_size=backbone.hidden_size)
            return EncoderDecoder(backbone, decoder, spelling, prompt=config["prompt"], end=config["end"])

        _refuse_misfit(folder, without_memory(build).state_dict(), weights)
        with nothing_drawn():
            model = build()
    except (ConfigError, KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{folder / CONFIG} does not describe a base: {error}. Copy the folder again.") from error
    weights.read_into(model.state_dict())
    if config["normalize"] not in ("clip", "none"):
        raise ModelError(f"{folder / CONFIG}: normalize is {config['normalize']!r}, expected clip or none.")
    model.backbone.normalize = config["normalize"]
    return model


def _settings_of(folder: Path, config: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return _decoder_settings(config)
    except ConfigError as error:
        raise ModelError(f"{folder / CONFIG}: {error} {_CURE}") from error


def _refuse_misfit(folder: Path, expected: Mapping[str, Tensor], weights: Weights) -> None:
    """Refuses weights that are missing or of another shape."""
    for name, tensor in expected.items():
        found = weights.header.get(name)
        if found is None or found.shape != tensor.shape:
            what = "is missing" if found is None else f"has shape {list(found.shape)}, expected {list(tensor.shape)}"
            raise ModelError(f"{folder}: {name} {what}. {_CURE}")
