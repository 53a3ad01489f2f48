"""Route that answers about recordings of any length, from moment to moment."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from emotune.inference.timeline.recording import check_windows
from emotune.server.clients import Client, TheService
from emotune.server.openapi import TIMELINE
from emotune.server.options import TimelineOptions
from emotune.server.recordings import judge, received
from emotune.server.rendering import check_format, timelines_answer
from emotune.server.scheduler import Asker
from emotune.server.work import timelines_of

router = APIRouter(tags=["recordings"])


@router.post("/v1/timeline", summary="Follow the emotions of recordings", response_class=Response, **TIMELINE)
async def timeline(
    request: Request, options: Annotated[TimelineOptions, Query()], service: TheService, client: Client
) -> Response:
    """Gives segments with times and answers for each recording, and the times in which nobody speaks."""
    model = service.models.named(options.model)
    model.check_coverage(options.coverage)
    rule = options.rule
    check_windows(rule.windows, model.predictor.engine.preprocessing)
    limits = service.settings.limits
    with service.taken(client):
        uploads = await received(request, limits)
        check_format(options.format, len(uploads))
        asker = Asker(client)
        predictor = model.predictor_for(asker, coverage=options.coverage, threshold=options.threshold)

        def work() -> Response:
            judge(uploads, asker.cancellation, limits)
            found = timelines_of(predictor, uploads, options.channels, rule)
            return timelines_answer(model, found, options.format, spreadsheet_safe=options.spreadsheet_safe)

        return await service.run(request, asker, work)
