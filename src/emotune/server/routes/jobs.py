"""Routes of jobs: begin one, look at it, take its result, end it."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from emotune.inference.timeline.recording import check_windows
from emotune.schema.predictions import Predictions
from emotune.server.clients import Client, TheService
from emotune.server.job import Job
from emotune.server.openapi import BEGIN_JOB, END_JOB, LOOK_AT_JOB, RESULT_OF_JOB
from emotune.server.options import JobOptions, JobResultOptions
from emotune.server.recordings import received
from emotune.server.rendering import check_format, json_answer, predictions_answer, timelines_answer
from emotune.server.work import with_threshold

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])


@router.post("", summary="Begin a job", status_code=202, response_class=Response, **BEGIN_JOB)
async def begin(
    request: Request, options: Annotated[JobOptions, Query()], service: TheService, client: Client
) -> Response:
    """Takes recordings that are too long for an answer at once; ``Location`` is where the job can be looked at."""
    model = service.models.named(options.model)
    check_windows(options.rule.windows, model.predictor.engine.preprocessing)
    model.check_coverage(options.coverage)
    limits = service.settings.limits
    with ExitStack() as place:
        service.refuse_new_work()
        place.enter_context(service.jobs.place(client))
        uploads = await received(request, limits, is_job=True)
        job = Job(client, model.name, options, list(uploads))
        await service.jobs.start(job, place.pop_all())
    return json_answer(job.to_json(), 202, {"Location": f"{router.prefix}/{job.job_id}"})


@router.get("/{job_id}", summary="Look at a job", **LOOK_AT_JOB)
async def look(job_id: str, service: TheService, client: Client) -> dict[str, Any]:
    """Gives the job's status and progress."""
    return service.jobs.found(job_id, client).to_json()


@router.get("/{job_id}/result", summary="Take the result of a job", response_class=Response, **RESULT_OF_JOB)
async def result(
    job_id: str, options: Annotated[JobResultOptions, Query()], service: TheService, client: Client
) -> Response:
    """Gives what ``/v1/timeline`` or ``/v1/predict`` would have given; it can be taken again until it expires."""
    job = service.jobs.found(job_id, client)
    options.check(job.options.kind)
    found = service.jobs.result_of(job)
    if options.threshold is not None:
        found = with_threshold(found, options.threshold)
    model = service.models.named(job.model)
    if isinstance(found, Predictions):
        return predictions_answer(model, found, options.format, spreadsheet_safe=options.spreadsheet_safe)
    check_format(options.format, len(found))
    return timelines_answer(model, found, options.format, spreadsheet_safe=options.spreadsheet_safe)


@router.delete("/{job_id}", summary="End a job", status_code=204, **END_JOB)
async def end(job_id: str, service: TheService, client: Client) -> None:
    """Cancels a job that is not done, and lets its recordings go; forgets one that is done, with its result."""
    service.jobs.delete(service.jobs.found(job_id, client))
