"""A dense layer with tanh and a linear one on the mean of the last state: audeering's dimensions, and emotion classes.

The head that many folders of ``Wav2Vec2ForSpeechClassification`` have, a class that is not transformers' own: stock
``AutoModelForAudioClassification`` gives these a head of random weights.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import partial

from torch import Tensor

from emotune.models.published.checkpoint_format import CheckpointFormat, Description, PublishedFolder, expect, linear
from emotune.models.published.labels import DIMENSIONS, dimensions, expect_names, stated_classes
from emotune.models.published.sequence_classification import known_encoder, preprocessing_of
from emotune.models.published.state_conventions import has_final_norm
from emotune.schema.labels import LabelSpace

_DENSE = "classifier.dense"
_OUTS = ("classifier.out_proj", "classifier.output")


def _out_of(names: Collection[str]) -> str | None:
    found = [out for out in _OUTS if f"{out}.weight" in names]
    return found[0] if len(found) == 1 else None


class DenseHead(CheckpointFormat):
    """out(tanh(dense(mean_t h))), h the last state.

    Reference:
        Wagner et al. (2023), Dawn of the transformer era in speech emotion recognition, arXiv 2203.07378.
    """

    about = "a dense layer with tanh on the mean, as audeering's dimensions have it"

    @classmethod
    def fits(cls, names: Collection[str]) -> bool:
        return f"{_DENSE}.weight" in names and _out_of(names) is not None

    @classmethod
    def describe(cls, folder: PublishedFolder) -> Description:
        encoder, weights = known_encoder(folder), folder.weights.header
        expect(folder, folder.config, "pooling_mode", "mean")
        out = _out_of(weights) or _OUTS[0]
        outputs = len(weights[f"{out}.weight"])
        if folder.config.get("problem_type") == "regression":
            expect_names(folder, DIMENSIONS)
            space, head = LabelSpace((), dimensions(DIMENSIONS, 0, 1)), "dimensions"
        else:
            space, head = stated_classes(folder, outputs), "classes"
        return Description(
            backbone={**encoder, "final_norm": has_final_norm(encoder)},
            space=space,
            options={
                "layer_mix": "last",
                "pooling": "mean",
                "networks": {head: {"hidden_size": len(weights[f"{_DENSE}.weight"]), "activation": "tanh"}},
            },
            preprocessing=preprocessing_of(folder, encoder),
            used=[f"{layer}.{part}" for layer in (_DENSE, out) for part in ("weight", "bias")],
            head=partial(_head, out=out, name=head),
        )


def _head(weights: Mapping[str, Tensor], *, out: str, name: str) -> dict[str, Tensor]:
    return linear(weights, _DENSE, f"heads.{name}.hidden.0") | linear(weights, out, f"heads.{name}.out")
