"""Baselines of the Odyssey 2024 challenge over WavLM Large: attentive statistics and a hidden layer.

Facts of the published files: one mean and one standard deviation for all recordings, clips cut to 12 s, eight classes
in the order below, dimensions p of (label - 1) / 6 without a sigmoid.

Reference:
    Goncalves et al. (2024), Odyssey 2024 - Speech Emotion Recognition Challenge, ISCA Odyssey.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from functools import partial
from typing import Any

from torch import Tensor

from emotune.audio.preprocessing import Preprocessing
from emotune.models.published.checkpoint_format import CheckpointFormat, Description, PublishedFolder, in_folder, linear
from emotune.models.published.labels import DIMENSIONS, dimensions, expect_names, space_of, stated_names
from emotune.models.published.shapes import config_of
from emotune.schema.labels import LabelSpace

CLASSES = ("Angry", "Sad", "Happy", "Surprise", "Fear", "Disgust", "Contempt", "Neutral")
MEAN, STD = -8.278621631819787e-05, 0.08485510250851999
_FLOOR = 1e-6
_LONGEST_S = 12.0
_LOW, _HIGH = 1.0, 7.0
_POOL, _FC, _OUT = "pool_model.", "ser_model.fc.0.", "ser_model.out.0"
_USED = (
    *(f"{_POOL}attention", f"{_POOL}sap_linear.weight", f"{_POOL}sap_linear.bias"),
    *(f"{layer}.{part}" for layer in (f"{_FC}0", f"{_FC}1", _OUT) for part in ("weight", "bias")),
)


class Odyssey(CheckpointFormat):
    """Attentive statistics of the normed last state, then linear, layer norm, ReLU, linear."""

    about = "Odyssey 2024 baseline over WavLM"

    @classmethod
    def fits(cls, names: Collection[str]) -> bool:
        return f"{_POOL}attention" in names and f"{_OUT}.weight" in names

    @classmethod
    def describe(cls, folder: PublishedFolder) -> Description:
        weights = folder.weights.header
        space = _space(folder, len(weights[f"{_OUT}.weight"]))
        head = "classes" if space.classes else "dimensions"
        return Description(
            backbone={**config_of(weights, "wavlm", source=folder.path), "final_norm": True},
            space=space,
            options={
                "layer_mix": "last",
                "pooling": "attentive_stats",
                "networks": {head: {"hidden_size": len(weights[f"{_FC}0.weight"])}},
            },
            preprocessing=_preprocessing(folder),
            used=_USED,
            head=partial(_head, name=head),
        )


def _space(folder: PublishedFolder, outputs: int) -> LabelSpace:
    if outputs == len(CLASSES):
        expect_names(folder, CLASSES)
        return space_of(folder, CLASSES)
    if outputs == len(DIMENSIONS):
        expect_names(folder, DIMENSIONS)
        return LabelSpace((), dimensions(DIMENSIONS, _LOW, _HIGH))
    names = [name.lower() for name in stated_names(folder, outputs) or []]
    if outputs == 1 and names and names[0] in DIMENSIONS:
        return LabelSpace((), dimensions(names, _LOW, _HIGH))
    known = ", ".join(DIMENSIONS)
    raise in_folder(
        folder,
        f"its head has {outputs} outputs that config.json does not name. Expected 8 classes, 3 dimensions, or one that"
        f' "id2label": {{"0": "arousal"}} names (of {known}).',
    )


def _preprocessing(folder: PublishedFolder) -> Preprocessing:
    stated: dict[str, Any] = {"mean": folder.config.get("mean", MEAN), "std": folder.config.get("std", STD)}
    for name, known in (("mean", MEAN), ("std", STD)):
        value = stated[name]
        if not isinstance(value, int | float) or not math.isclose(value, known, rel_tol=1e-4):
            raise in_folder(folder, f"{name} of config.json is {value!r}; this format was trained with {known}.")
    if (folder.preprocessor or {}).get("do_normalize"):
        raise in_folder(folder, "do_normalize is true, and this format has one mean and scale for all recordings.")
    return Preprocessing("fixed", mean=MEAN, std=STD + _FLOOR, max_duration_s=_LONGEST_S, too_long="cut")


def _head(weights: Mapping[str, Tensor], *, name: str) -> dict[str, Tensor]:
    return {
        "pooling.score.weight": weights[f"{_POOL}attention"].T,
        **linear(weights, f"{_POOL}sap_linear", "pooling.projection"),
        **linear(weights, f"{_FC}0", f"heads.{name}.hidden.0"),
        **linear(weights, f"{_FC}1", f"heads.{name}.hidden.1"),
        **linear(weights, _OUT, f"heads.{name}.out"),
    }
