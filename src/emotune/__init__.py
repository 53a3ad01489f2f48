"""emotune: adapt pretrained speech encoders to speech emotion recognition, evaluate honestly, predict.

>>> import emotune
>>> emotune.LabelSpace(("anger", "neutral")).classes
('anger', 'neutral')
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from emotune.client import AsyncClient, Client
    from emotune.errors import EmotuneError
    from emotune.evaluation import evaluate
    from emotune.inference import Predictor, load
    from emotune.inference.pipeline import pipeline
    from emotune.inference.stream import Stream
    from emotune.schema.labels import LabelSpace, Scale
    from emotune.schema.manifest import Manifest
    from emotune.schema.predictions import Prediction, Predictions
    from emotune.schema.utterance import Utterance

__version__ = "0.1.0"

_PUBLIC = {
    "AsyncClient": "emotune.client",
    "Client": "emotune.client",
    "EmotuneError": "emotune.errors",
    "LabelSpace": "emotune.schema.labels",
    "Manifest": "emotune.schema.manifest",
    "Prediction": "emotune.schema.predictions",
    "Predictions": "emotune.schema.predictions",
    "Predictor": "emotune.inference",
    "Scale": "emotune.schema.labels",
    "Stream": "emotune.inference.stream",
    "Utterance": "emotune.schema.utterance",
    "evaluate": "emotune.evaluation",
    "load": "emotune.inference",
    "pipeline": "emotune.inference.pipeline",
}

__all__ = [
    "AsyncClient",
    "Client",
    "EmotuneError",
    "LabelSpace",
    "Manifest",
    "Prediction",
    "Predictions",
    "Predictor",
    "Scale",
    "Stream",
    "Utterance",
    "evaluate",
    "load",
    "pipeline",
]


def __getattr__(name: str) -> Any:
    """Import public names when they are first used, so that ``import emotune`` stays quick."""
    if name not in _PUBLIC:
        raise AttributeError(f"module 'emotune' has no attribute '{name}'")
    return getattr(importlib.import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    """Public names, also those that have not been used yet."""
    return sorted([*__all__, "__version__"])
