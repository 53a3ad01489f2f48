"""Encoders of transformers with random weights, under the names that unilm and fairseq give them."""

import re
from typing import Any

import torch
from torch import Tensor

SMALL = {
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 4,
    "conv_dim": [16] * 7,
}
FORM_OF_LARGE = {"feat_extract_norm": "layer", "do_stable_layer_norm": True}
LARGE = {**SMALL, **FORM_OF_LARGE}
KIND = {"wavlm": "WavLM", "hubert": "Hubert", "wav2vec2": "Wav2Vec2"}
THEIR_WORDS = [
    ("masked_spec_embed", "mask_emb"),
    ("feature_projection.projection.", "post_extract_proj."),
    ("feature_projection.layer_norm.", "layer_norm."),
    ("pos_conv_embed.conv.parametrizations.weight.original0", "pos_conv.0.weight_g"),
    ("pos_conv_embed.conv.parametrizations.weight.original1", "pos_conv.0.weight_v"),
    ("pos_conv_embed.conv.", "pos_conv.0."),
    (".attention.gru_rel_pos_linear.", ".self_attn.grep_linear."),
    (".attention.gru_rel_pos_const", ".self_attn.grep_a"),
    (".attention.rel_attn_embed.", ".self_attn.relative_attention_bias."),
    (".attention.", ".self_attn."),
    (".feed_forward.intermediate_dense.", ".fc1."),
    (".feed_forward.output_dense.", ".fc2."),
]


def drawn(kind: str, shape: dict):
    """A model of transformers with the weights that it begins with."""
    import transformers

    return getattr(transformers, KIND[kind] + "Model")(getattr(transformers, KIND[kind] + "Config")(**shape))


def model_of(kind: str, shape: dict):
    torch.manual_seed(0)
    return moved(drawn(kind, shape))


def moved(model):
    """The model in use, with no weight left at the value that it begins with."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model.eval()


def their_name(name: str, *, large: bool) -> str:
    for ours, theirs in THEIR_WORDS:
        if ours in name:
            name = name.replace(ours, theirs)
            break
    name = re.sub(r"conv_layers\.(\d+)\.conv\.", r"conv_layers.\1.0.", name)
    name = re.sub(r"conv_layers\.(\d+)\.layer_norm\.", r"conv_layers.\1.2.1." if large else r"conv_layers.\1.2.", name)
    return re.sub(r"(layers\.\d+)\.layer_norm\.", r"\1.self_attn_layer_norm.", name)


def their_weights(model, prefix: str = "") -> dict[str, Tensor]:
    large = model.config.do_stable_layer_norm
    return {prefix + their_name(name, large=large): tensor.clone() for name, tensor in model.state_dict().items()}


def their_settings(shape: dict, **more: Any) -> dict[str, Any]:
    large = shape.get("do_stable_layer_norm", False)
    return {
        "encoder_layers": shape["num_hidden_layers"],
        "encoder_embed_dim": shape["hidden_size"],
        "encoder_ffn_embed_dim": shape["intermediate_size"],
        "encoder_attention_heads": shape["num_attention_heads"],
        "extractor_mode": "layer_norm" if large else "default",
        "layer_norm_first": large,
        "conv_bias": False,
        "conv_feature_layers": "[(16,10,5)] + [(16,3,2)] * 4 + [(16,2,2)] * 2",
        "conv_pos": 16,
        "conv_pos_groups": 4,
        **more,
    }
