"""wav2vec 2.0 Base and Large, and what shares its shape (XLS-R, robust, ...): our own forward.

Reference:
    Baevski et al. (2020), wav2vec 2.0, arXiv 2006.11477.
"""

# pyright: strict, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from emotune.models.backbones.family import Wav2Vec2Family
from emotune.models.backbones.published import WAV2VEC2


class Wav2Vec2(Wav2Vec2Family):
    """wav2vec 2.0, without quantiser and output layers."""

    model_type = "wav2vec2"
    published_defaults: ClassVar[Mapping[str, Any]] = WAV2VEC2
