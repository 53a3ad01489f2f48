"""Service: models, places, threads and metrics that all routes share."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from starlette.requests import Request

from emotune.schema.labels import LabelSpace
from emotune.server.admission import Admission
from emotune.server.cancellation import Cancellation
from emotune.server.jobs import Jobs
from emotune.server.jobs_folder import JobsFolder
from emotune.server.metrics import Metrics
from emotune.server.problems import Problem
from emotune.server.scheduler import Asker
from emotune.server.served_models import ServedModels
from emotune.server.settings import Settings
from emotune.server.work import job_result

Answer = TypeVar("Answer")
_DRAIN_RETRY_S = 5


class ClientGone(Exception):  # noqa: N818 (no fault of anybody)
    """Raised where a client went away before its answer."""


class Service:
    """Parts that the routes share.

    Args:
        models: that it answers with.
        settings: its limits.
        metrics: that count what it does.

    Attributes:
        draining: set when no new work is taken any more.
    """

    def __init__(self, models: ServedModels, settings: Settings, metrics: Metrics) -> None:
        self.models, self.settings, self.metrics = models, settings, metrics
        limits = settings.limits
        self.admission = Admission(
            "requests", places=limits.requests, places_of_client=limits.client_requests, turns=limits.working
        )
        self._folder = None if settings.jobs_folder is None else JobsFolder(settings.jobs_folder)
        self.jobs = Jobs(limits, lambda job: job_result(models, limits, job), self._folder)
        self.stream_threads = ThreadPoolExecutor(max(1, limits.streams), thread_name_prefix="stream")
        self.draining = asyncio.Event()
        self.streams = 0
        self._working: set[Cancellation] = set()
        metrics.watch("emotune_requests_taken", "Requests that are taken.", lambda: self.admission.taken)
        metrics.watch("emotune_requests_working", "Requests that work.", lambda: self.admission.working)
        metrics.watch("emotune_jobs_active", "Jobs that are not done.", lambda: self.jobs.active)
        metrics.watch("emotune_streams", "Streams that are open.", lambda: self.streams)
        metrics.watch(
            "emotune_clips_waiting",
            "Clips that wait for a model.",
            lambda: sum(model.scheduler.waiting for model in models.values()),
        )

    @contextmanager
    def taken(self, client: str) -> Iterator[None]:
        """Holds a request's place for the block.

        Raises:
            Problem: when there is none, or the service is about to end.
        """
        self.refuse_new_work()
        with self.admission.place(client):
            yield

    def refuse_new_work(self) -> None:
        """Refuses what is new, once the service is about to end.

        Raises:
            Problem: that says so.
        """
        if self.draining.is_set():
            raise Problem(
                "ending",
                "The server finishes what it has taken and ends. Ask again: another one may be there.",
                retry_after_s=_DRAIN_RETRY_S,
                headers={"Connection": "close"},
            )

    @contextmanager
    def stream_place(self) -> Iterator[None]:
        """Holds a stream's place for the block.

        Raises:
            Problem: when there is none, or the service is about to end.
        """
        self.refuse_new_work()
        if self.streams >= self.settings.limits.streams:
            raise Problem("too-many", f"There are {self.streams} streams, as many as may be.", retry_after_s=5)
        self.streams += 1
        try:
            yield
        finally:
            self.streams -= 1

    async def run(self, request: Request, asker: Asker, work: Callable[[], Answer]) -> Answer:
        """Runs work in a thread once it is the client's turn, while somebody waits for it.

        Raises:
            ClientGone: when nobody does any more; the work is told, and its turn is free when its thread has ended.
            Problem: when it takes too long.
        """
        longest_s = self.settings.limits.request_s
        self._working.add(asker.cancellation)
        running = asyncio.ensure_future(self.admission.run(asker.client, work))
        gone = asyncio.ensure_future(_gone(request))
        try:
            await asyncio.wait({running, gone}, timeout=longest_s, return_when=asyncio.FIRST_COMPLETED)
            if running.done():
                return running.result()
            if gone.done():
                raise ClientGone
            raise Problem(
                "took-too-long",
                f"There was no answer after {longest_s:g} s. Send a long recording as a job, to /v1/jobs.",
                retry_after_s=self.admission.retry_after_s,
            )
        finally:
            for task in (running, gone):
                if not task.done():
                    task.cancel()
            asker.cancellation.cancel()
            self._working.discard(asker.cancellation)

    async def drain(self, longest_s: float) -> bool:
        """Takes no new work, and waits until what was taken is done.

        Returns:
            Whether it was done in time.
        """
        self.draining.set()
        until = time.monotonic() + longest_s
        while self.is_busy and time.monotonic() < until:
            await asyncio.sleep(0.02)
        return not self.is_busy

    @property
    def is_busy(self) -> bool:
        """Whether anything that was taken is not done."""
        return bool(self.admission.taken or self.admission.working or self.streams or self.jobs.must_be_done)

    def open(self) -> None:
        """Takes up the jobs of before."""
        if self._folder is not None:
            self.jobs.restore(self._folder.jobs(self._space_of))

    async def close(self) -> None:
        """Ends all threads."""
        await self.jobs.suspend()
        for cancellation in list(self._working):
            cancellation.cancel()
        self.jobs.close()
        self.admission.close()
        self.models.close()
        self.stream_threads.shutdown(wait=False, cancel_futures=True)

    def _space_of(self, model: str) -> LabelSpace | None:
        return self.models[model].predictor.label_space if model in self.models else None


async def _gone(request: Request) -> None:
    """Ends when the client goes away."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
