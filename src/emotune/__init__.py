"""emotune: adapt pretrained speech encoders to speech emotion recognition, evaluate honestly, predict.

>>> import emotune
>>> emotune.LabelSpace(("anger", "neutral")).classes
('anger', 'neutral')
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from emotune.errors import EmotuneError
    from emotune.evaluation import evaluate
    from emotune.inference import Predictor, load
    from emotune.labels import LabelSpace, Scale
    from emotune.manifest import Manifest, Utterance
    from emotune.predictions import Prediction, Predictions

__version__ = "0.1.0"

_PUBLIC = {
    "EmotuneError": "emotune.errors",
    "LabelSpace": "emotune.labels",
    "Manifest": "emotune.manifest",
    "Prediction": "emotune.predictions",
    "Predictions": "emotune.predictions",
    "Predictor": "emotune.inference",
    "Scale": "emotune.labels",
    "Utterance": "emotune.manifest",
    "evaluate": "emotune.evaluation",
    "load": "emotune.inference",
}

__all__ = [
    "EmotuneError",
    "LabelSpace",
    "Manifest",
    "Prediction",
    "Predictions",
    "Predictor",
    "Scale",
    "Utterance",
    "evaluate",
    "load",
]


def __getattr__(name: str) -> Any:
    """Import public names when they are first used, so that ``import emotune`` stays quick."""
    if name not in _PUBLIC:
        raise AttributeError(f"module 'emotune' has no attribute '{name}'")
    return getattr(importlib.import_module(_PUBLIC[name]), name)
