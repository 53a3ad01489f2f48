"""Pretrained speech encoders: waveforms and mask in, hidden states of every layer and a frame mask out."""

# pyright: strict, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

from typing import TYPE_CHECKING

from emotune.registry import Registry

if TYPE_CHECKING:
    from emotune.models.backbones.base import Backbone

BACKBONES: Registry[type[Backbone]] = Registry(
    "backbone",
    {
        "data2vec-audio": (
            "emotune.models.backbones.data2vec_audio:Data2VecAudio",
            "emotune.models.backbones.published:DATA2VEC_AUDIO",
        ),
        "depthwise": (
            "emotune.models.backbones.depthwise:Depthwise",
            "emotune.models.backbones.published:DEPTHWISE",
        ),
        "emotion2vec": (
            "emotune.models.backbones.emotion2vec:Emotion2vec",
            "emotune.models.backbones.published:EMOTION2VEC",
        ),
        "hubert": ("emotune.models.backbones.hubert:HuBERT", "emotune.models.backbones.published:HUBERT"),
        "unispeech-sat": (
            "emotune.models.backbones.unispeech_sat:UniSpeechSAT",
            "emotune.models.backbones.published:UNISPEECH_SAT",
        ),
        "wav2vec2": ("emotune.models.backbones.wav2vec2:Wav2Vec2", "emotune.models.backbones.published:WAV2VEC2"),
        "wav2vec2-bert": (
            "emotune.models.backbones.wav2vec2_bert:Wav2Vec2BERT",
            "emotune.models.backbones.published:WAV2VEC2_BERT",
        ),
        "wavlm": ("emotune.models.backbones.wavlm:WavLM", "emotune.models.backbones.published:WAVLM"),
        "whisper": ("emotune.models.backbones.whisper:Whisper", "emotune.models.backbones.published:WHISPER"),
    },
    extra="train",
)
"""The options of an encoder are the keys of its published config.json, each with its default."""
