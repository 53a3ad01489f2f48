"""Pretrained speech encoders: waveforms and mask in, hidden states of every layer and a frame mask out."""

from __future__ import annotations

from emotune.models.backbones.base import Backbone
from emotune.models.backbones.wavlm import WavLM
from emotune.models.backbones.whisper import Whisper
from emotune.registry import Registry

BACKBONES: Registry[type[Backbone]] = Registry("backbone", {"wavlm": WavLM, "whisper": Whisper})
