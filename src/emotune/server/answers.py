"""Answers in JSON: predictions, and what timelines have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from emotune.schema.predictions import Prediction
from emotune.timelines import Timeline


def prediction_json(row: Prediction) -> dict[str, Any]:
    """One prediction, or the error in its place; ``file`` and ``channel`` are in its own columns."""
    return {
        "file": row.extra["file"],
        "channel": row.extra.get("channel"),
        "emotion": row.emotion,
        "confidence": max(row.probabilities.values(), default=None),
        "uncertain": row.uncertain,
        "probabilities": dict(row.probabilities),
        "dimensions": dict(row.dimensions),
        "conditions_used": row.conditions_used,
        "warning": row.warning,
        "error": row.error,
    }


def settings_of(timelines: Sequence[Timeline]) -> dict[str, Any]:
    """Settings of the first timeline that there is; they are those of all."""
    return next((dict(one.settings) for one in timelines if one.error is None), {})
