"""Config of an encoder from the shapes of its weights, for formats that do not store one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from emotune.errors import ModelError
from emotune.models.backbones.parts_on_top import prefix_of_encoder

_ANCHOR = "feature_extractor.conv_layers.0.conv.weight"
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
        return _config(shapes, model_type)
    except (KeyError, IndexError) as error:
        raise ModelError(
            f"{source} holds an encoder that is no whole {model_type}: {error} is not as expected."
        ) from error


def _config(shapes: Mapping[str, Any], model_type: str) -> dict[str, Any]:
    def count(start: str) -> int:
        return len({name.removeprefix(start).partition(".")[0] for name in shapes if name.startswith(start)})

    convolutions = [shapes[f"feature_extractor.conv_layers.{n}.conv.weight"] for n in range(count(_ANCHOR[:30]))]
    every_norm = "feature_extractor.conv_layers.1.layer_norm.weight" in shapes
    hidden_size = shapes["feature_projection.projection.weight"][0]
    positions = next(
        shape
        for name, shape in shapes.items()
        if name.startswith("encoder.pos_conv_embed.conv.") and name.endswith(("weight_v", "original1"))
    )
    config = {
        "model_type": model_type,
        "hidden_size": hidden_size,
        "num_hidden_layers": count("encoder.layers."),
        "num_attention_heads": max(hidden_size // _HEAD_FEATURES, 1),
        "intermediate_size": shapes["encoder.layers.0.feed_forward.intermediate_dense.weight"][0],
        "conv_dim": [shape[0] for shape in convolutions],
        "conv_kernel": [shape[2] for shape in convolutions],
        "conv_stride": _STRIDES[len(convolutions)],
        "conv_bias": "feature_extractor.conv_layers.0.conv.bias" in shapes,
        "feat_extract_norm": "layer" if every_norm else "group",
        "do_stable_layer_norm": every_norm,
        "num_conv_pos_embeddings": positions[2],
        "num_conv_pos_embedding_groups": hidden_size // positions[1],
    }
    if model_type == "hubert":
        config["feat_proj_layer_norm"] = "feature_projection.layer_norm.weight" in shapes
    if model_type == "wavlm":
        buckets, heads = shapes["encoder.layers.0.attention.rel_attn_embed.weight"]
        config |= {"num_buckets": buckets, "num_attention_heads": heads}
    return config
