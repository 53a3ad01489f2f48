"""Route that answers about whole recordings, one answer each."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from emotune.server.clients import Client, TheService
from emotune.server.openapi import PREDICT
from emotune.server.options import PredictionOptions
from emotune.server.recordings import judge, received
from emotune.server.rendering import predictions_answer
from emotune.server.scheduler import Asker
from emotune.server.work import predictions_of

router = APIRouter(tags=["recordings"])


@router.post("/v1/predict", summary="Predict the emotions of recordings", response_class=Response, **PREDICT)
async def predict(
    request: Request, options: Annotated[PredictionOptions, Query()], service: TheService, client: Client
) -> Response:
    """Gives one answer for each recording, or for each of its channels.

    A recording that cannot be used is a row with its error; where it is the only one, the answer is a problem.
    """
    model = service.models.named(options.model)
    model.check_coverage(options.coverage)
    limits = service.settings.limits
    with service.taken(client):
        uploads = await received(request, limits)
        asker = Asker(client)
        predictor = model.predictor_for(asker, coverage=options.coverage, threshold=options.threshold)

        def work() -> Response:
            longest_s = predictor.engine.preprocessing.longest_decoded_s
            judge(uploads, asker.cancellation, limits, of_model_s=longest_s)
            found = predictions_of(predictor, uploads, options.channels)
            return predictions_answer(model, found, options.format, spreadsheet_safe=options.spreadsheet_safe)

        return await service.run(request, asker, work)
