"""Jobs at a server: recordings that outlast a request, with their progress, result and end."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

from emotune.client.answers import Json
from emotune.client.failures import error_of
from emotune.client.questions import Question
from emotune.errors import EmotuneError, ServerError
from emotune.runtime.progress import Progress, silent

JOBS = "/v1/jobs"
_PARTS = 100  # of a job, in bars of progress
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.1, 1.0
_Found = TypeVar("_Found")


@dataclass(frozen=True)
class JobStatus:
    """State of a job.

    Args:
        status: how far it is.
        progress: share that is answered, in [0, 1].
        error: problem that it failed with, as RFC 9457 has it.
    """

    status: Literal["queued", "running", "done", "failed", "cancelled"]
    progress: float
    error: Json | None

    @property
    def is_active(self) -> bool:
        """Tells that it is still to be done."""
        return self.status in ("queued", "running")

    def check(self) -> None:
        """Refuses one that has not ended well.

        Raises:
            EmotuneError: that it failed with.
            ServerError: when it was cancelled.
        """
        if self.error is not None:
            raise error_of(self.error)
        if self.status == "cancelled":
            raise ServerError("The job was cancelled. Send the recording again.")


def status_of(body: Json) -> JobStatus:
    """State in an answer.

    Raises:
        ServerError: for what is none.
    """
    try:
        return JobStatus(body["status"], float(body["progress"]), body["error"])
    except (KeyError, TypeError, ValueError) as error:
        raise ServerError("The answer is no job of emotune serve.") from error


def id_of(body: Json) -> str:
    """Id of a job that has begun.

    Raises:
        ServerError: for what is none.
    """
    status_of(body)
    return str(body.get("id"))


def _waits_s() -> Iterator[float]:
    """Seconds between looks at a job: a tenth at first, a whole one later."""
    return (min(_LONGEST_WAIT_S, _FIRST_WAIT_S * 1.3 ** min(look, 9)) for look in itertools.count())


class Job(Generic[_Found]):
    """Job that a ``Client`` has begun.

    Args:
        job_id: by which the server knows it.
        question: that it answers.
        ask: puts a question to the server, by method and path.
    """

    def __init__(self, job_id: str, question: Question[_Found], ask: Callable[[str, str], Json]) -> None:
        self.job_id = job_id
        self._question, self._ask, self._path = question, ask, f"{JOBS}/{job_id}"

    def status(self) -> JobStatus:
        """Looks at it.

        Raises:
            ServerError: when the server knows it no more, or does not answer.
        """
        return status_of(self._ask("GET", self._path))

    def result(self, progress: Progress = silent) -> _Found:
        """Waits until it is done, and gives the answer; it can be taken again until it expires.

        Args:
            progress: shows how much of it is done.

        Raises:
            AudioError: when the recording cannot be used.
            ServerError: when it was cancelled, has expired, or the server does not answer.
        """
        for _ in progress(self._parts(), total=_PARTS, title=self._question.item.utterance_id):
            pass
        return self._question.read(self._ask("GET", f"{self._path}/result"))

    def cancel(self) -> None:
        """Ends it where it is not done; where it is, the server forgets it.

        Raises:
            ServerError: when the server knows it no more, or does not answer.
        """
        self._ask("DELETE", self._path)

    def let_go(self) -> None:
        """Cancels it if that can be; otherwise it expires."""
        with suppress(EmotuneError):
            self.cancel()

    def _parts(self) -> Iterator[None]:
        told = 0
        for wait_s in _waits_s():
            now = self.status()
            now.check()
            part = _PARTS if not now.is_active else round(now.progress * _PARTS)
            yield from (None for _ in range(told, part))
            told = max(told, part)
            if not now.is_active:
                return
            time.sleep(wait_s)


class AsyncJob(Generic[_Found]):
    """Job that an ``AsyncClient`` has begun; see ``Job``."""

    def __init__(self, job_id: str, question: Question[_Found], ask: Callable[[str, str], Awaitable[Json]]) -> None:
        self.job_id = job_id
        self._question, self._ask, self._path = question, ask, f"{JOBS}/{job_id}"

    async def status(self) -> JobStatus:
        """See ``Job.status``."""
        return status_of(await self._ask("GET", self._path))

    async def result(self, told: Callable[[float], None] = lambda share: None) -> _Found:
        """See ``Job.result``; ``told`` is called with the share that is done."""
        for wait_s in _waits_s():
            now = await self.status()
            now.check()
            told(now.progress)
            if not now.is_active:
                break
            await asyncio.sleep(wait_s)
        return self._question.read(await self._ask("GET", f"{self._path}/result"))

    async def cancel(self) -> None:
        """See ``Job.cancel``."""
        await self._ask("DELETE", self._path)

    async def let_go(self) -> None:
        """See ``Job.let_go``."""
        with suppress(EmotuneError):
            await self.cancel()
