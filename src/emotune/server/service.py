"""Service: models, places, threads and metrics that all routes share."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from starlette.requests import Request

from emotune.errors import EmotuneError
from emotune.schema.labels import LabelSpace
from emotune.server.admission import Admission
from emotune.server.job import Job
from emotune.server.jobs import Jobs
from emotune.server.jobs_folder import JobsFolder
from emotune.server.metrics import Metrics
from emotune.server.problems import Problem
from emotune.server.scheduler import Asker
from emotune.server.served_models import ServedModels
from emotune.server.settings import Settings
from emotune.server.work import job_result

Answer = TypeVar("Answer")
_ENDING_RETRY_S = 5
_GLANCE_S = 0.02
_FAREWELL_S = 0.5
"""Time in which those who keep connections open hear that the service ends: closing one could cross a request."""


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
        self._kept = [] if self._folder is None else self._jobs_of(self._folder)
        self.jobs = Jobs(limits, lambda job: job_result(models, limits, job), self._folder)
        self._stream_places = Admission(
            "streams", places=limits.streams, places_of_client=limits.client_streams, turns=max(1, limits.streams)
        )
        self._stream_threads = ThreadPoolExecutor(max(1, limits.streams), thread_name_prefix="stream")
        self._heard: set[Future[None]] = set()
        self.draining = asyncio.Event()
        self._running: set[asyncio.Future[None]] = set()
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
            raise _ending("The server finishes what it has taken, and ends.")

    @contextmanager
    def stream_place(self, client: str) -> Iterator[None]:
        """Holds a stream's place for the block.

        Raises:
            Problem: when there is none, or the service is about to end.
        """
        self.refuse_new_work()
        with self._stream_places.place(client):
            yield

    @property
    def streams(self) -> int:
        """Streams that are open."""
        return self._stream_places.taken

    def hear(self, work: Callable[[], None]) -> asyncio.Future[None]:
        """Hears a stream in a thread of its own."""
        future = self._stream_threads.submit(work)
        self._heard.add(future)
        future.add_done_callback(self._heard.discard)
        return asyncio.wrap_future(future)

    async def run(self, request: Request, asker: Asker, work: Callable[[], Answer]) -> Answer:
        """Runs work in a thread once it is the client's turn, while somebody waits for it.

        Raises:
            ClientGone: when nobody does any more; the work is told, and its turn is free when its thread has ended.
            Problem: when it takes too long, or the service ends before.
        """
        longest_s = self.settings.limits.request_s
        running = asyncio.ensure_future(self.admission.run(asker.client, work))
        gone = asyncio.ensure_future(_gone(request))
        given_up = asyncio.get_running_loop().create_future()
        self._running.add(given_up)
        try:
            waits = {running, gone, given_up}
            await asyncio.wait(waits, timeout=longest_s, return_when=asyncio.FIRST_COMPLETED)
            if running.done():
                return running.result()
            if gone.done():
                raise ClientGone
            if given_up.done():
                raise _ending("The server ends before it is done.")
            raise Problem(
                "took-too-long",
                f"There was no answer after {longest_s:g} s. Send a long recording as a job, to /v1/jobs.",
                retry_after_s=self.admission.retry_after_s,
            )
        finally:
            self._running.discard(given_up)
            for task in (running, gone):
                if not task.done():
                    task.cancel()
            asker.cancellation.cancel()

    async def drain(self, longest_s: float, hurry: asyncio.Event) -> bool:
        """Takes no new work, and waits until what was taken is done; the rest is given up.

        Args:
            longest_s: that it waits.
            hurry: ends the waiting.

        Returns:
            Whether all was done.
        """
        self.draining.set()
        began = time.monotonic()
        while self.is_busy and time.monotonic() - began < longest_s and not hurry.is_set():
            await asyncio.sleep(_GLANCE_S)
        is_whole = not self.is_busy
        for given_up in self._running:
            if not given_up.done():
                given_up.set_result(None)
        left_s = min(_FAREWELL_S, longest_s) - (time.monotonic() - began)
        if is_whole and left_s > 0:
            await asyncio.sleep(left_s)
        return is_whole

    @property
    def is_busy(self) -> bool:
        """Tells that something that was taken is not done."""
        return bool(self.admission.taken or self.admission.working or self.streams or self.jobs.must_be_done)

    def open(self) -> None:
        """Takes up the jobs of before."""
        self.jobs.restore(self._kept)
        self._kept = []

    async def close(self) -> None:
        """Ends all threads."""
        await self.jobs.suspend()
        self.jobs.close()
        self.admission.close()
        self.models.close()
        if self._folder is not None:
            self._folder.close()
        self._stream_threads.shutdown(wait=False, cancel_futures=True)

    @property
    def has_threads(self) -> bool:
        """Tells that a thread of a request or a job still works."""
        return bool(self.admission.has_threads or self.jobs.has_threads or self._heard)

    def _jobs_of(self, folder: JobsFolder) -> list[Job]:
        try:
            return folder.jobs(self._space_of)
        except EmotuneError:
            folder.close()
            raise

    def _space_of(self, model: str) -> LabelSpace | None:
        return self.models[model].predictor.label_space if model in self.models else None


def _ending(words: str) -> Problem:
    return Problem("ending", f"{words} Ask again: another one may be there.", retry_after_s=_ENDING_RETRY_S)


async def _gone(request: Request) -> None:
    """Ends when the client goes away."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
