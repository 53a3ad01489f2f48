"""Config of an encoder from the shapes of its weights, for formats that do not store one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from emotune.errors import ModelError
from emotune.models.backbones.parts_on_top import prefix_of_encoder

_ANCHOR = "feature_extractor.conv_layers.0.conv.weight"
_POSITIONS = tuple(f"encoder.pos_conv_embed.conv.{end}" for end in ("weight_v", "parametrizations.weight.original1"))
_STRIDES = {7: [5, 2, 2, 2, 2, 2, 2]}
_HEAD_FEATURES = 64  # of an attention head in every published model


def config_of(weights: Mapping[str, Tensor], model_type: str, *, source: object) -> dict[str, Any]:
    """Config of a WavLM, HuBERT or wav2vec 2.0 encoder whose weights have transformers' names, under any prefix.

    What shapes do not tell is as in all published models: strides, 64 features a head, and that norms come first where
    every convolution has a norm.

    Raises:
        ModelError: where there is no such encoder.
    """
    prefix = prefix_of_encoder(weights, _ANCHOR)
    if prefix is None:
        raise ModelError(f"{source} holds no encoder that is known: no weight is called {_ANCHOR}.")
    shapes = {name.removeprefix(prefix): tensor.shape for name, tensor in weights.items() if name.startswith(prefix)}
    try:
        return _config(_Shapes(shapes), model_type)
    except ModelError as error:
        raise ModelError(f"{source} holds no whole {model_type}: {error}") from error


class _Shapes:
    """Shapes of weights by name, which are asked for with the number of axes that they must have."""

    def __init__(self, shapes: Mapping[str, Sequence[int]]) -> None:
        self._shapes = shapes

    def __contains__(self, name: str) -> bool:
        return name in self._shapes

    def of(self, name: str, axes: int) -> Sequence[int]:
        """Shape of a weight.

        Raises:
            ModelError: naming a weight that is missing, or has another number of axes.
        """
        shape = self._shapes.get(name)
        if shape is None:
            raise ModelError(f"the weight {name} is missing.")
        if len(shape) != axes or 0 in shape:
            raise ModelError(f"the weight {name} has the shape {tuple(shape)}, expected {axes} axes, none empty.")
        return shape

    def count(self, start: str) -> int:
        """Number of parts below a name."""
        return len({name.removeprefix(start).partition(".")[0] for name in self._shapes if name.startswith(start)})


def _config(shapes: _Shapes, model_type: str) -> dict[str, Any]:
    count = shapes.count("feature_extractor.conv_layers.")
    convolutions = [shapes.of(f"feature_extractor.conv_layers.{n}.conv.weight", 3) for n in range(count)]
    if count not in _STRIDES:
        raise ModelError(
            f"it has {count} convolutions (feature_extractor.conv_layers), expected {', '.join(map(str, _STRIDES))}."
        )
    every_norm = "feature_extractor.conv_layers.1.layer_norm.weight" in shapes
    hidden_size = shapes.of("feature_projection.projection.weight", 2)[0]
    positions = shapes.of(next((name for name in _POSITIONS if name in shapes), _POSITIONS[0]), 3)
    config = {
        "model_type": model_type,
        "hidden_size": hidden_size,
        "num_hidden_layers": shapes.count("encoder.layers."),
        "num_attention_heads": max(hidden_size // _HEAD_FEATURES, 1),
        "intermediate_size": shapes.of("encoder.layers.0.feed_forward.intermediate_dense.weight", 2)[0],
        "conv_dim": [shape[0] for shape in convolutions],
        "conv_kernel": [shape[2] for shape in convolutions],
        "conv_stride": _STRIDES[count],
        "conv_bias": "feature_extractor.conv_layers.0.conv.bias" in shapes,
        "feat_extract_norm": "layer" if every_norm else "group",
        "do_stable_layer_norm": every_norm,
        "num_conv_pos_embeddings": positions[2],
        "num_conv_pos_embedding_groups": hidden_size // positions[1],
    }
    if model_type == "hubert":
        config["feat_proj_layer_norm"] = "feature_projection.layer_norm.weight" in shapes
    if model_type == "wavlm":
        buckets, heads = shapes.of("encoder.layers.0.attention.rel_attn_embed.weight", 2)
        config |= {"num_buckets": buckets, "num_attention_heads": heads}
    return config
