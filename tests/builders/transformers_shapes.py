"""Smallest shapes of encoders that transformers builds, as keyword arguments of its configurations."""

WAV2VEC2_SHAPE = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "num_conv_pos_embedding_groups": 4,
    "conv_dim": [16] * 7,
}
WHISPER_SHAPE = {"d_model": 16, "encoder_layers": 2, "encoder_attention_heads": 2, "encoder_ffn_dim": 32}
