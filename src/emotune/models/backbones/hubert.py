"""HuBERT Base, Large and Extra Large: our own forward.

Reference:
    Hsu et al. (2021), HuBERT, arXiv 2106.07447.
"""

# pyright: strict, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from emotune.models.backbones.family import Wav2Vec2Family
from emotune.models.backbones.published import HUBERT


class HuBERT(Wav2Vec2Family):
    """HuBERT, without output layers."""

    model_type = "hubert"
    published_defaults: ClassVar[Mapping[str, Any]] = HUBERT
