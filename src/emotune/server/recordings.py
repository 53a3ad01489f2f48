"""Recordings of a request or a job: received, and judged by their headers before they are decoded."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterable

from starlette.requests import Request

from emotune.errors import AudioError
from emotune.server.cancellation import Cancellation
from emotune.server.logs import tell
from emotune.server.receiving import receive
from emotune.server.settings import Limits
from emotune.server.uploads import AudioLimits, Upload, Uploads

_MEGABYTE = 1_000_000
_TO_JOBS = "Send it as a job, to /v1/jobs, or cut it into parts."
_TO_TIMELINE = "The model takes no more at once: send it to /v1/timeline, or as a job to /v1/jobs?kind=timeline."
_CUT = "Cut it into parts."


async def received(request: Request, limits: Limits, *, is_job: bool = False) -> Uploads:
    """Receives the recordings of a request or a job.

    Raises:
        Problem: for what is no upload, or too large, or too slow.
    """
    uploads = Uploads(
        most_bytes=round((limits.job_upload_mb if is_job else limits.upload_mb) * _MEGABYTE),
        memory_bytes=round(limits.memory_mb * _MEGABYTE),
        most_files=limits.files,
        of="a job" if is_job else "a request",
    )
    await receive(request, uploads, longest_s=limits.job_upload_s if is_job else limits.upload_s)
    tell(request.scope, files=len(uploads), bytes=sum(upload.size for upload in uploads))
    return uploads


def judge(
    uploads: Iterable[Upload],
    cancellation: Cancellation,
    limits: Limits,
    *,
    of_model_s: float = math.inf,
    is_job: bool = False,
) -> None:
    """Refuses recordings that are too large, by their headers, before any is decoded: work on them says so.

    Args:
        uploads: recordings.
        cancellation: ends their decoding.
        limits: of the service.
        of_model_s: seconds that the model takes at once.
        is_job: they are those of a job, and may be longer.
    """
    most_s = limits.job_seconds if is_job else limits.seconds
    cure = _TO_TIMELINE if of_model_s < most_s else _CUT if is_job else _TO_JOBS
    for upload in uploads:
        upload.limits = AudioLimits(min(most_s, of_model_s), limits.channels, cure)
        upload.cancellation = cancellation
        with contextlib.suppress(AudioError):
            upload.judge()
