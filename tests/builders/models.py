"""Models with random weights that run in milliseconds."""

from pathlib import Path
from typing import Any

import torch

from emotune.audio.preprocessing import Preprocessing
from emotune.models.backbones import BACKBONES
from emotune.models.backbones.base import Backbone
from emotune.models.emotion_model import EmotionModel
from emotune.models.store import save_model
from emotune.schema.labels import LabelSpace

WAVLM = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "conv_dim": [8, 8, 8],
    "conv_kernel": [40, 8, 4],
    "conv_stride": [20, 8, 4],
    "num_conv_pos_embeddings": 8,
    "num_conv_pos_embedding_groups": 4,
    "num_buckets": 16,
    "max_bucket_distance": 40,
    "hidden_dropout": 0.0,
    "activation_dropout": 0.0,
    "attention_dropout": 0.0,
}
WHISPER = {"d_model": 16, "encoder_layers": 2, "encoder_attention_heads": 2, "encoder_ffn_dim": 32}
SEVEN_CONVOLUTIONS = {
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "conv_dim": [16] * 7,
    "num_conv_pos_embedding_groups": 4,
}
WIDER_WHISPER = {"d_model": 32, "encoder_layers": 3, "encoder_attention_heads": 4, "encoder_ffn_dim": 64}
CONFORMER = {
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "left_max_position_embeddings": 9,
    "right_max_position_embeddings": 4,
    "conv_depthwise_kernel_size": 5,
}
EMOTION2VEC = {
    **SEVEN_CONVOLUTIONS,
    "num_prenet_layers": 1,
    "num_conv_pos_embeddings": 2,
    "conv_pos_kernel_size": 6,
    "num_extra_tokens": 3,
}
DEPTHWISE = {"hidden_size": 24, "num_hidden_layers": 3, "intermediate_size": 32, "conv_kernel_size": 5}
SHAPES = {"depthwise": DEPTHWISE, "emotion2vec": EMOTION2VEC, "wav2vec2-bert": CONFORMER, "whisper": WIDER_WHISPER}
"""Of encoders that are not of the wav2vec 2.0 family."""

_TWO_LAYERS = SEVEN_CONVOLUTIONS | {"num_hidden_layers": 2}
TINY = {
    "wavlm": _TWO_LAYERS,
    "wavlm, layer norm": {**_TWO_LAYERS, "feat_extract_norm": "layer", "do_stable_layer_norm": True},
    "wavlm, final norm": {**_TWO_LAYERS, "do_stable_layer_norm": True, "final_norm": True},
    "data2vec-audio": _TWO_LAYERS,
    "hubert": _TWO_LAYERS,
    "unispeech-sat": _TWO_LAYERS,
    "wav2vec2": {**_TWO_LAYERS, "feat_extract_norm": "layer", "do_stable_layer_norm": True, "conv_bias": True},
    "depthwise": DEPTHWISE | {"num_hidden_layers": 2},
    "emotion2vec": EMOTION2VEC | {"num_hidden_layers": 2},
    "wav2vec2-bert": CONFORMER | {"num_hidden_layers": 2},
    "whisper": WIDER_WHISPER | {"encoder_layers": 2},
}
"""Tiny configs of every backbone, in the flavours that take other ways through it."""


def tiny_backbone(config: dict, name: str = "wavlm", *, seed: int = 0, **options: Any) -> Backbone:
    torch.manual_seed(seed)
    return BACKBONES[name].from_config(config, **options)


def save_tiny_model(folder: Path, space: LabelSpace, **options: Any) -> Path:
    """Folder of a model over the tiny WavLM; the options are the model's."""
    backbone = tiny_backbone(WAVLM)
    preprocessing = Preprocessing(backbone.normalize, max_duration_s=5.0, min_samples=backbone.min_samples)
    save_model(folder, EmotionModel(backbone, space, **options), preprocessing)
    return folder
