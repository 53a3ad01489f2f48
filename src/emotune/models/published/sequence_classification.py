"""transformers' classification of clips: ``*ForSequenceClassification`` and ``WhisperForAudioClassification``.

logits = C (P mean_t h + b) + c, with h the last state or a weighted sum of all. Two linear layers in a row are one, so
that our head is linear: weight C P, bias C b + c.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from torch import Tensor

from emotune.audio import SAMPLING_RATE_HZ
from emotune.audio.preprocessing import Preprocessing
from emotune.errors import ConfigError
from emotune.models.backbones import BACKBONES
from emotune.models.backbones.checkpoint import normalization_of
from emotune.models.backbones.filter_bank import HOP as FILTER_HOP
from emotune.models.backbones.filter_bank import STRIDE as FILTER_WINDOWS
from emotune.models.backbones.filter_bank import WINDOW as FILTER_WINDOW
from emotune.models.backbones.log_mel import HOP, WINDOW
from emotune.models.published.checkpoint_format import (
    CheckpointFormat,
    Description,
    PublishedFolder,
    expect,
    in_folder,
)
from emotune.models.published.labels import stated_classes
from emotune.models.published.state_conventions import has_final_norm, last_of_weighted_sum_is_normed

_HEAD = ("projector.weight", "projector.bias", "classifier.weight", "classifier.bias")
_MIX = "layer_weights"
_UNTRAINED = "both biases of its head are zero all through: it looks as if it had never been trained"


class SequenceClassification(CheckpointFormat):
    """The classes as transformers itself saves them, with the mean over time."""

    about = "classification of clips as transformers has it"

    @classmethod
    def fits(cls, names: Collection[str]) -> bool:
        return set(_HEAD) <= set(names) and not any(name.startswith("tdnn.") for name in names)

    @classmethod
    def describe(cls, folder: PublishedFolder) -> Description:
        encoder = known_encoder(folder)
        weights = folder.weights.header
        weighted = bool(folder.config.get("use_weighted_layer_sum", False))
        if weighted != (_MIX in weights):
            there = "holds" if _MIX in weights else "lacks"
            raise in_folder(folder, f"use_weighted_layer_sum is {str(weighted).lower()}, and the file {there} {_MIX}.")
        normed = last_of_weighted_sum_is_normed(encoder, source=folder.path) if weighted else has_final_norm(encoder)
        outputs = len(weights["classifier.weight"])
        return Description(
            backbone={**encoder, "final_norm": normed},
            space=stated_classes(folder, outputs),
            options={"layer_mix": "weighted_sum" if weighted else "last", "pooling": "mean"},
            preprocessing=preprocessing_of(folder, encoder),
            used=[*_HEAD, *([_MIX] if weighted else [])],
            head=_linear_head,
        )


def _linear_head(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    projector, classifier = weights["projector.weight"], weights["classifier.weight"]
    folded = {
        "heads.classes.out.weight": classifier @ projector,
        "heads.classes.out.bias": classifier @ weights["projector.bias"] + weights["classifier.bias"],
    }
    return folded | ({"layer_mix.logits": weights[_MIX]} if _MIX in weights else {})


def known_encoder(folder: PublishedFolder) -> Mapping[str, Any]:
    """The config of a folder whose encoder is one of ours, checked value by value.

    Raises:
        ModelError: for another encoder, or values that it cannot have.
    """
    kind = folder.config.get("model_type")
    if not isinstance(kind, str) or kind not in BACKBONES:
        known = ", ".join(sorted(BACKBONES))
        raise in_folder(folder, f"its encoder is of type {kind!r}, which is not known here. Known: {known}.")
    try:
        return {**folder.config, **BACKBONES[kind].read_config(folder.config)}
    except ConfigError as error:
        raise in_folder(folder, f"config.json is not as expected. {error}") from error


def preprocessing_of(folder: PublishedFolder, encoder: Mapping[str, Any]) -> Preprocessing:
    """The preprocessing that a folder's preprocessor_config.json asks for, or transformers' default without one.

    Whisper hears every clip within 30 s, silence at its end; the others hear it as long as it is.

    Raises:
        ModelError: for one that asks for something else.
    """
    settings = folder.preprocessor or {}
    expect(folder, settings, "sampling_rate", SAMPLING_RATE_HZ)
    if encoder["model_type"] == "wav2vec2-bert":
        bins = encoder["feature_projection_input_dim"] // FILTER_WINDOWS
        for key, known in (("num_mel_bins", bins), ("feature_size", bins), ("stride", FILTER_WINDOWS)):
            expect(folder, settings, key, known)
        return Preprocessing(min_samples=FILTER_WINDOW + FILTER_HOP)
    if encoder["model_type"] != "whisper":
        return Preprocessing(normalization_of(folder.hearing))
    samples = encoder["max_source_positions"] * 2 * HOP
    for key, known in (("n_fft", WINDOW), ("hop_length", HOP), ("do_normalize", False), ("n_samples", samples)):
        expect(folder, settings, key, known)
    expect(folder, settings, "feature_size", encoder["num_mel_bins"])
    seconds = samples / SAMPLING_RATE_HZ
    return Preprocessing(max_duration_s=seconds, min_samples=samples, too_long="cut", too_short="pad")


def looks_untrained(weights: Mapping[str, Tensor]) -> str | None:
    """A remark on a head that training never moved; None for one that it did."""
    biases = [weights[name] for name in _HEAD if name.endswith("bias") and name in weights]
    return _UNTRAINED if biases and not any(bool(bias.any()) for bias in biases) else None
