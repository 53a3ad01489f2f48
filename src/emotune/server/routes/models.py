"""Route that lists the models."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from emotune.server.clients import Client, TheService
from emotune.server.openapi import LIST_MODELS
from emotune.server.schemas import ModelsAnswer

router = APIRouter(tags=["models"])


@router.get("/v1/models", summary="List the models", response_model=ModelsAnswer, **LIST_MODELS)
async def models(service: TheService, client: Client) -> dict[str, Any]:
    """Names, classes, scales of dimensions, licences and fingerprints; the thresholds of shares that are answered."""
    return {
        "models": [
            model.to_json() | {"default": model is service.models.default, "threshold": model.thresholds()}
            for model in service.models.values()
        ]
    }
