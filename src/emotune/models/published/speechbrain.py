"""SpeechBrain's emotion recipe over wav2vec 2.0: ``wav2vec2.ckpt`` and ``model.ckpt`` side by side.

Facts of the published files: the waveform and the last state are each brought to zero mean and unit variance as a
whole (layer norm without weights, floor 1e-5), then the mean over time and a linear layer without bias. The statistics
pooling of that library adds a little noise even in evaluation; it is left out here.

Reference:
    Ravanelli et al. (2021), SpeechBrain: A General-Purpose Speech Toolkit, arXiv 2106.04624; recipe IEMOCAP.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from torch import Tensor

from emotune.audio.preprocessing import Preprocessing
from emotune.models.published.checkpoint_format import CheckpointFormat, Description, PublishedFolder, in_folder
from emotune.models.published.labels import space_of
from emotune.models.published.shapes import config_of

CLASSES = ("neu", "ang", "hap", "sad")
_OUT = "0.w.weight"
_LABELS = "label_encoder.txt"
_LINE = re.compile(r"^'(?P<name>[^']*)' => (?P<index>\d+)$", re.MULTILINE)
_LAYER_NORM_FLOOR = 1e-5


class SpeechBrain(CheckpointFormat):
    """Mean of the normed last state and one linear layer."""

    about = "SpeechBrain's emotion recipe over wav2vec 2.0"

    @classmethod
    def fits(cls, names: Collection[str]) -> bool:
        return _OUT in names

    @classmethod
    def describe(cls, folder: PublishedFolder) -> Description:
        weights = folder.weights.header
        _check_labels(folder, len(weights[_OUT]))
        config = config_of(weights, "wav2vec2", source=folder.path)
        return Description(
            backbone={**config, "final_norm": config["do_stable_layer_norm"]},
            space=space_of(folder, CLASSES),
            options={"layer_mix": "last", "pooling": "normed_mean"},
            preprocessing=Preprocessing("clip", variance_floor=_LAYER_NORM_FLOOR),
            used=[_OUT],
            head=_head,
        )


def _check_labels(folder: PublishedFolder, outputs: int) -> None:
    path = folder.path / _LABELS
    text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    found = {int(line["index"]): line["name"] for line in _LINE.finditer(text) if line["name"] != "starting_index"}
    known = dict(enumerate(CLASSES))
    if outputs != len(CLASSES) or (text and found != known):
        stated = ", ".join(found[index] for index in sorted(found)) or f"{outputs} classes without names"
        raise in_folder(folder, f"{_LABELS} has {stated}; this format is known with {', '.join(CLASSES)}.")


def _head(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    out = weights[_OUT]
    return {"heads.classes.out.weight": out, "heads.classes.out.bias": out.new_zeros(len(out))}
