"""UniSpeech-SAT Base, Base+ and Large: the network of wav2vec 2.0, pre-trained to tell speakers apart too.

Reference:
    Chen et al. (2022), UniSpeech-SAT: Universal Speech Representation Learning with Speaker Aware Pre-Training,
    arXiv 2110.05752.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from emotune.models.backbones.family import Wav2Vec2Family
from emotune.models.backbones.published import UNISPEECH_SAT


class UniSpeechSAT(Wav2Vec2Family):
    """UniSpeech-SAT, without quantiser, speaker and output layers."""

    model_type = "unispeech-sat"
    published_defaults: ClassVar[Mapping[str, Any]] = UNISPEECH_SAT
