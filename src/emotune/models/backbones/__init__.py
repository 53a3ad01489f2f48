"""Pretrained speech encoders: waveforms and mask in, hidden states of every layer and a frame mask out."""

from __future__ import annotations

from emotune.models.backbones.base import Backbone
from emotune.models.backbones.hubert import HuBERT
from emotune.models.backbones.wav2vec2 import Wav2Vec2
from emotune.models.backbones.wavlm import WavLM
from emotune.models.backbones.whisper import Whisper
from emotune.registry import Registry

BACKBONES: Registry[type[Backbone]] = Registry(
    "backbone", {"hubert": HuBERT, "wav2vec2": Wav2Vec2, "wavlm": WavLM, "whisper": Whisper}
)
