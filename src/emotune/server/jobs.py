"""Jobs: work that outlasts a request; their sound is let go when they are done, and their results soon after."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack

from emotune.errors import EmotuneError, TableError
from emotune.server.admission import Admission
from emotune.server.cancellation import Cancelled
from emotune.server.job import Job, Outcome, Result
from emotune.server.jobs_folder import JobsFolder
from emotune.server.logs import log
from emotune.server.problems import Problem, problem_of
from emotune.server.settings import Limits

_RETRY_S = 2


class Jobs:
    """Jobs of all clients. All but the work belongs to one event loop.

    Args:
        limits: how many there may be, and how long they are kept.
        work: does a job, in a thread.
        folder: where they survive a restart; None = in memory alone.
    """

    def __init__(self, limits: Limits, work: Callable[[Job], Result], folder: JobsFolder | None = None) -> None:
        self._limits, self._work, self._folder = limits, work, folder
        self._jobs: dict[str, Job] = {}
        self._admission = Admission(
            "jobs", places=limits.jobs, places_of_client=limits.client_jobs, turns=limits.jobs_working
        )
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._suspended = False

    @property
    def active(self) -> int:
        """Jobs that are not done."""
        return len(self._tasks)

    @property
    def must_be_done(self) -> bool:
        """Tells that jobs would be lost if the service ended now."""
        return bool(self._tasks) and self._folder is None

    def place(self, client: str) -> AbstractContextManager[None]:
        """Place of a job, from before its recordings come until it is done.

        Raises:
            Problem: when there is none.
        """
        return self._admission.place(client)

    async def start(self, job: Job, place: ExitStack) -> None:
        """Takes a job, and the place that was held for it."""
        if self._folder is not None:
            try:
                await asyncio.to_thread(self._folder.keep, job)
            except (TableError, OSError) as error:
                self._folder.forget(job.job_id)
                raise Problem("no-room", "The server cannot keep the job's recordings.", retry_after_s=60) from error
        self._begin(job, place)

    def restore(self, jobs: list[Job]) -> None:
        """Takes up the jobs that a folder has kept; those that are not done keep their places."""
        for job in jobs:
            if job.is_active:
                place = ExitStack()
                place.enter_context(self._admission.place_from_before(job.client))
                self._begin(job, place)
            else:
                self._jobs[job.job_id] = job
                self._forget_later(job)

    def found(self, job_id: str, client: str) -> Job:
        """A client's job.

        Raises:
            Problem: when the client has none of that id.
        """
        job = self._jobs.get(job_id)
        if job is None or job.client != client:
            raise Problem("not-found", "There is no such job: it has expired, was deleted, or never was.")
        return job

    def result_of(self, job: Job) -> Result:
        """Result of a job.

        Raises:
            Problem: while it is not done, or why it failed.
        """
        if job.result is not None:
            return job.result
        if job.problem is not None:
            kind = str(job.problem["type"]).rpartition(":")[2]
            raise Problem(kind, job.problem["detail"], errors=job.problem.get("errors", ()))
        retry_after_s = _RETRY_S if job.is_active else None
        raise Problem("job-not-done", f"The job is {job.status}, so there is no result.", retry_after_s=retry_after_s)

    def delete(self, job: Job) -> None:
        """Cancels a job that is not done; forgets one that is."""
        if not job.is_active:
            self._forget(job)
            return
        job.cancellation.cancel()
        self._tasks[job.job_id].cancel()

    async def suspend(self) -> None:
        """Stops all jobs; those of a folder go on after a restart."""
        self._suspended = True
        for job_id, task in list(self._tasks.items()):
            self._jobs[job_id].cancellation.cancel()
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    @property
    def has_threads(self) -> bool:
        """Tells that a thread still works."""
        return self._admission.has_threads

    def close(self) -> None:
        """Ends the threads."""
        self._admission.close()

    def _begin(self, job: Job, place: ExitStack) -> None:
        self._jobs[job.job_id] = job
        task = asyncio.ensure_future(self._run(job, place))
        self._tasks[job.job_id] = task
        task.add_done_callback(lambda _: self._tasks.pop(job.job_id, None))

    async def _run(self, job: Job, place: ExitStack) -> None:
        began = time.monotonic()
        with place:
            outcome = await self._outcome(job)
            job.outcome, job.uploads = outcome, []
            if self._suspended and outcome == "cancelled" and self._folder is not None:
                return
            job.expires = time.time() + self._limits.job_keep_s
            if self._folder is not None:
                await asyncio.to_thread(_update, self._folder, job)
            outcome = job.outcome
        took_s = round(time.monotonic() - began, 3)
        log("job", kind=job.options.kind, outcome=outcome, took_s=took_s)
        self._forget_later(job)
        self._make_room()

    async def _outcome(self, job: Job) -> Outcome:
        try:
            job.result = await self._admission.run(job.client, lambda: self._worked(job))
            job.done = 1.0
            return "done"
        except (Cancelled, asyncio.CancelledError):
            return "cancelled"
        except Problem as problem:
            job.problem = problem.to_json(job.job_id)
        except EmotuneError as error:
            job.problem = problem_of(error).to_json(job.job_id)
        except Exception as error:  # whatever it is, the client sees that it failed, and the log has its traceback
            log("job failed", fault=error, level=logging.ERROR)
            job.problem = Problem("fault", "This is a fault of the server.").to_json(job.job_id)
        return "failed"

    def _worked(self, job: Job) -> Result:
        job.cancellation.check()
        job.has_begun = True
        return self._work(job)

    def _make_room(self) -> None:
        """Forgets results beyond what is kept: the oldest of the client who has the most."""
        done = [one for one in self._jobs.values() if not one.is_active]
        for _ in range(len(done) - self._limits.results):
            counts = Counter(one.client for one in done)
            oldest = min(done, key=lambda one: (-counts[one.client], one.expires or 0.0))
            done.remove(oldest)
            self._forget(oldest)

    def _forget_later(self, job: Job) -> None:
        left_s = max(0.0, (job.expires or 0.0) - time.time())
        asyncio.get_running_loop().call_later(left_s, self._forget, job)

    def _forget(self, job: Job) -> None:
        if self._jobs.pop(job.job_id, None) is not None and self._folder is not None:
            with contextlib.suppress(OSError):
                self._folder.forget(job.job_id)


def _update(folder: JobsFolder, job: Job) -> None:
    """Keeps what a job came to; where there is no room for it, the job has failed and nothing of it is kept."""
    try:
        folder.update(job)
    except (TableError, OSError) as error:
        log("a job could not be kept", level=logging.ERROR, reason=type(error).__name__)
        folder.forget(job.job_id)
        if job.outcome == "done":
            problem = Problem("no-room", "The result could not be kept on the server's disk. Send the job again.")
            job.outcome, job.result, job.problem = "failed", None, problem.to_json(job.job_id)
