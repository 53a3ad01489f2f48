"""Names of fairseq's and unilm's weights, and their settings, in the words of transformers."""

# pyright: strict, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from emotune.errors import ModelError

_LAYER = r"encoder\.layers\.(\d+)\."
_RENAMED: tuple[tuple[str, str], ...] = (
    (r"mask_emb$", "masked_spec_embed"),
    (r"feature_extractor\.conv_layers\.(\d+)\.0\.", r"feature_extractor.conv_layers.\1.conv."),
    (r"feature_extractor\.conv_layers\.(\d+)\.2\.(1\.)?", r"feature_extractor.conv_layers.\1.layer_norm."),
    (r"post_extract_proj\.", "feature_projection.projection."),
    (r"layer_norm\.", "feature_projection.layer_norm."),
    (r"encoder\.pos_conv\.0\.", "encoder.pos_conv_embed.conv."),
    (r"encoder\.layer_norm\.", "encoder.layer_norm."),
    (_LAYER + r"self_attn\.([kqv]|out)_proj\.", r"encoder.layers.\1.attention.\2_proj."),
    (_LAYER + r"self_attn\.grep_linear\.", r"encoder.layers.\1.attention.gru_rel_pos_linear."),
    (_LAYER + r"self_attn\.grep_a$", r"encoder.layers.\1.attention.gru_rel_pos_const"),
    (_LAYER + r"self_attn\.relative_attention_bias\.", r"encoder.layers.\1.attention.rel_attn_embed."),
    (_LAYER + r"self_attn_layer_norm\.", r"encoder.layers.\1.layer_norm."),
    (_LAYER + r"fc1\.", r"encoder.layers.\1.feed_forward.intermediate_dense."),
    (_LAYER + r"fc2\.", r"encoder.layers.\1.feed_forward.output_dense."),
    (_LAYER + r"final_layer_norm\.", r"encoder.layers.\1.final_layer_norm."),
)
LEFT_OUT = re.compile(r"quantizer\.|project_q\.|final_proj\.|label_embs_concat$|target_glu\.|proj\.")
"""Weights that training needed beside the encoder: quantiser, projections, the head of a recogniser."""
_PREFIX = re.compile(r"(w2v_encoder\.)?(w2v_model\.)?")


def renamed(weights: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], list[str]]:
    """Weights by transformers' names, and the names of those that are known and left out.

    Raises:
        ModelError: naming weights that are not known.
    """
    found: dict[str, Tensor] = {}
    dropped: list[str] = []
    strangers: list[str] = []
    for name, tensor in weights.items():
        own = name[len(_PREFIX.match(name)[0]) :]  # pyright: ignore[reportOptionalSubscript] (it matches nothing too)
        theirs = next((re.sub("^" + old, new, own) for old, new in _RENAMED if re.match(old, own)), None)
        if LEFT_OUT.match(own):
            dropped.append(name)
        elif theirs is None:
            strangers.append(name)
        else:
            found[theirs] = tensor
    if strangers:
        more = f" and {len(strangers) - 5} more" if len(strangers) > 5 else ""
        raise ModelError(
            f"it has weights that no known encoder has: {', '.join(strangers[:5])}{more}. Known are WavLM, HuBERT and"
            " wav2vec 2.0 of unilm, fairseq and S3PRL."
        )
    return found, dropped


_SETTINGS = {
    "encoder_layers": "num_hidden_layers",
    "encoder_embed_dim": "hidden_size",
    "encoder_ffn_embed_dim": "intermediate_size",
    "encoder_attention_heads": "num_attention_heads",
    "conv_bias": "conv_bias",
    "layer_norm_first": "do_stable_layer_norm",
    "conv_pos": "num_conv_pos_embeddings",
    "conv_pos_groups": "num_conv_pos_embedding_groups",
    "num_buckets": "num_buckets",
    "max_distance": "max_bucket_distance",
}
_MODES = {"default": "group", "layer_norm": "layer"}
_TERM = re.compile(r"\s*\[\s*((?:\(\s*\d+\s*,\s*\d+\s*,\s*\d+\s*\)\s*,?\s*)+)\]\s*(?:\*\s*(\d+))?\s*")
_CONVOLUTION = re.compile(r"\(\s*(\d+)\s*,\s*(\d+)\s*,\s*(\d+)\s*\)")


def settings_of(original: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of an original file under transformers' keys; those that it has none for stay out.

    Raises:
        ModelError: for convolutions that are not written as fairseq writes them.
    """
    found = {theirs: original[ours] for ours, theirs in _SETTINGS.items() if original.get(ours) is not None}
    if original.get("extractor_mode") in _MODES:
        found["feat_extract_norm"] = _MODES[original["extractor_mode"]]
    if original.get("conv_feature_layers") is not None:
        layers = convolutions(str(original["conv_feature_layers"]))
        for place, key in enumerate(("conv_dim", "conv_kernel", "conv_stride")):
            found[key] = [layer[place] for layer in layers]
    return found


def convolutions(text: str) -> list[tuple[int, int, int]]:
    """Channels, kernel and stride of each convolution, from the sum of lists that fairseq evaluates as Python.

    Raises:
        ModelError: for any other text.

    >>> convolutions("[(512,10,5)] + [(512,3,2)] * 2")
    [(512, 10, 5), (512, 3, 2), (512, 3, 2)]
    """
    layers: list[tuple[int, int, int]] = []
    for term in text.split("+"):
        found = _TERM.fullmatch(term)
        if found is None:
            raise ModelError(f"conv_feature_layers is {text!r}, expected lists such as [(512,10,5)] + [(512,3,2)] * 4.")
        once = [(int(one[1]), int(one[2]), int(one[3])) for one in _CONVOLUTION.finditer(found[1])]
        layers += once * int(found[2] or 1)
    return layers
