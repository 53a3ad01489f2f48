"""Recordings of one request: received, and judged by their headers before they are decoded."""

from __future__ import annotations

import math
from dataclasses import dataclass

from starlette.requests import Request

from emotune.server.receiving import receive
from emotune.server.scheduler import Asker
from emotune.server.service import Service
from emotune.server.settings import Limits
from emotune.server.uploads import AudioLimits, Uploads
from emotune.server.work import judge

_MEGABYTE = 1_000_000


@dataclass(frozen=True)
class Recordings:
    """Recordings of a request, and who asks about them."""

    uploads: Uploads
    asker: Asker
    limits: Limits

    @classmethod
    async def received(cls, request: Request, service: Service, client: str) -> Recordings:
        """Receives the recordings of a request.

        Raises:
            Problem: for what is no upload, or too large.
        """
        limits = service.settings.limits
        uploads = Uploads(
            most_bytes=round(limits.upload_mb * _MEGABYTE),
            memory_bytes=round(limits.memory_mb * _MEGABYTE),
            most_files=limits.files,
        )
        await receive(request, uploads, longest_s=limits.upload_s)
        return cls(uploads, Asker(client), limits)

    def judge(self, longest_s: float = math.inf) -> None:
        """Refuses what is too large by its header, also for a model that takes at most so many seconds."""
        if longest_s < self.limits.seconds:
            cure = "The model takes no more at once: send it to /v1/timeline."
        else:
            cure = "Send it as a job, to /v1/jobs, or cut it into parts."
        limits = AudioLimits(min(longest_s, self.limits.seconds), self.limits.channels, cure)
        self.uploads.limited(limits, self.asker.cancellation)
        judge(self.uploads)
