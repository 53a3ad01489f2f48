"""Routes for those who run the service: is it alive, is it ready, and what does it do."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import PlainTextResponse, Response

from emotune.server.clients import Client, TheService
from emotune.server.metrics import MEDIA_TYPE
from emotune.server.openapi import OF_CLIENTS, problems
from emotune.server.problems import Problem
from emotune.server.schemas import ReadyAnswer

router = APIRouter(tags=["operation"])


@router.get("/health", summary="Tell that the server is alive")
async def health() -> dict[str, str]:
    """Answers as long as the server can answer at all."""
    return {"status": "alive"}


@router.get("/ready", summary="Tell whether the server takes work", response_model=ReadyAnswer, responses=problems(503))
async def ready(service: TheService) -> dict[str, object]:
    """Answers 200 once all models are loaded, and 503 when the server is about to end."""
    if service.draining.is_set():
        raise Problem("ending", "The server is about to end.", retry_after_s=5)
    return {"status": "ready", "models": list(service.models)}


@router.get("/metrics", summary="Figures for Prometheus", response_class=PlainTextResponse, responses=OF_CLIENTS)
async def metrics(service: TheService, client: Client) -> Response:
    """Counts and times of answers, models, places and the process."""
    return Response(service.metrics.text(), media_type=MEDIA_TYPE)
