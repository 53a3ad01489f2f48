"""Predictions in the JSON of answers."""

from __future__ import annotations

from typing import Any

from emotune.schema.predictions import Prediction


def prediction_json(row: Prediction) -> dict[str, Any]:
    """One prediction, or the error in its place; ``file`` and ``channel`` are in its own columns."""
    return {
        "file": row.extra["file"],
        "channel": row.extra.get("channel"),
        "emotion": row.emotion,
        "confidence": row.confidence,
        "uncertain": row.uncertain,
        "probabilities": dict(row.probabilities),
        "dimensions": dict(row.dimensions),
        "conditions_used": row.conditions_used,
        "warning": row.warning,
        "error": row.error,
    }
