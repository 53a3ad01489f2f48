"""Keys of each encoder's published config.json that are read, with the values they have where it leaves them out."""

# pyright: strict, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_COMMON: Mapping[str, Any] = {
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "intermediate_size": 3072,
    "hidden_act": "gelu",
    "feat_extract_activation": "gelu",
    "feat_extract_norm": "group",
    "do_stable_layer_norm": False,
    "conv_dim": [512, 512, 512, 512, 512, 512, 512],
    "conv_kernel": [10, 3, 3, 3, 3, 2, 2],
    "conv_stride": [5, 2, 2, 2, 2, 2, 2],
    "conv_bias": False,
    "num_conv_pos_embeddings": 128,
    "num_conv_pos_embedding_groups": 16,
    "layer_norm_eps": 1e-5,
    "hidden_dropout": 0.1,
    "activation_dropout": 0.1,
    "attention_dropout": 0.1,
    "feat_proj_dropout": 0.0,
    "layerdrop": 0.0,
}
HUBERT: Mapping[str, Any] = {**_COMMON, "feat_proj_layer_norm": True, "conv_pos_batch_norm": False}
WAV2VEC2: Mapping[str, Any] = {**_COMMON, "add_adapter": False}
WAVLM: Mapping[str, Any] = {**_COMMON, "num_buckets": 320, "max_bucket_distance": 800, "add_adapter": False}
UNISPEECH_SAT: Mapping[str, Any] = {**_COMMON, "add_adapter": False}
DATA2VEC_AUDIO: Mapping[str, Any] = {
    **_COMMON,
    "feat_extract_norm": "layer",
    "num_conv_pos_embeddings": 5,
    "conv_pos_kernel_size": 19,
    "add_adapter": False,
}
EMOTION2VEC: Mapping[str, Any] = {
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_prenet_layers": 4,
    "num_attention_heads": 12,
    "intermediate_size": 3072,
    "hidden_act": "gelu",
    "conv_dim": [512, 512, 512, 512, 512, 512, 512],
    "conv_kernel": [10, 3, 3, 3, 3, 2, 2],
    "conv_stride": [5, 2, 2, 2, 2, 2, 2],
    "num_conv_pos_embeddings": 5,
    "conv_pos_kernel_size": 19,
    "num_conv_pos_embedding_groups": 16,
    "num_extra_tokens": 10,
    "layer_norm_eps": 1e-5,
    "hidden_dropout": 0.1,
    "activation_dropout": 0.0,
    "attention_dropout": 0.1,
    "feat_proj_dropout": 0.0,
    "layerdrop": 0.0,
}
WAV2VEC2_BERT: Mapping[str, Any] = {
    "hidden_size": 1024,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "intermediate_size": 4096,
    "feature_projection_input_dim": 160,
    "hidden_act": "swish",
    "position_embeddings_type": "relative_key",
    "left_max_position_embeddings": 64,
    "right_max_position_embeddings": 8,
    "conv_depthwise_kernel_size": 31,
    "layer_norm_eps": 1e-5,
    "hidden_dropout": 0.0,
    "activation_dropout": 0.0,
    "attention_dropout": 0.0,
    "feat_proj_dropout": 0.0,
    "conformer_conv_dropout": 0.1,
    "layerdrop": 0.0,
    "add_adapter": False,
    "use_intermediate_ffn_before_adapter": False,
}
WHISPER: Mapping[str, Any] = {
    "d_model": 384,
    "encoder_layers": 4,
    "encoder_attention_heads": 6,
    "encoder_ffn_dim": 1536,
    "activation_function": "gelu",
    "num_mel_bins": 80,
    "max_source_positions": 1500,
    "dropout": 0.0,
    "attention_dropout": 0.0,
    "activation_dropout": 0.0,
    "encoder_layerdrop": 0.0,
}
DEPTHWISE: Mapping[str, Any] = {
    "hidden_size": 160,
    "num_hidden_layers": 4,
    "intermediate_size": 320,
    "conv_kernel_size": 9,
    "num_mel_bins": 64,
    "hidden_dropout": 0.0,
    "layerdrop": 0.0,
}
"""Ours: nobody published such an encoder."""
