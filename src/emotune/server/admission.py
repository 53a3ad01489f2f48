"""Admission of requests and jobs: so many are taken at a time, and so many of these work, by turns among clients."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

from emotune.server.problems import Problem

Answer = TypeVar("Answer")
_REMEMBERED = 0.9  # of the mean time of a turn, with each new one
_LONGEST_WAIT_S = 60.0


class Admission:
    """Places for requests, and threads in which they work by turns. All but their work belongs to one event loop.

    Args:
        name: of what is taken, in the plural.
        places: of them that are taken at a time; further ones are refused.
        places_of_client: of these, those of one client.
        turns: of them that work at a time; the others wait, and clients take turns.
    """

    def __init__(self, name: str, *, places: int, places_of_client: int, turns: int) -> None:
        self._name, self._places, self._places_of_client, self._turns = name, places, places_of_client, turns
        self._threads = ThreadPoolExecutor(turns, thread_name_prefix=name)
        self._futures: set[Future[Any]] = set()
        self.taken = 0
        self.working = 0
        self._of_client = Counter[str]()
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}
        self._mean_s = 0.1

    @property
    def retry_after_s(self) -> float:
        """Guess of the time until a place is free."""
        return min(_LONGEST_WAIT_S, max(1.0, self.taken / self._turns * self._mean_s))

    @contextmanager
    def place(self, client: str) -> Iterator[None]:
        """Holds a place for the block.

        Raises:
            Problem: when there is none.
        """
        if self.taken >= self._places:
            detail = f"The server has taken {self.taken} {self._name} and takes no more until one is done."
            raise Problem("too-many", detail, retry_after_s=self.retry_after_s)
        if self._of_client[client] >= self._places_of_client:
            detail = f"You have {self._of_client[client]} {self._name} here, the most of one client at a time."
            raise Problem("too-many", detail, retry_after_s=self.retry_after_s)
        with self.place_from_before(client):
            yield

    @contextmanager
    def place_from_before(self, client: str) -> Iterator[None]:
        """Holds a place for the block that was given before, also where limits are lower now."""
        self.taken += 1
        self._of_client[client] += 1
        try:
            yield
        finally:
            self.taken -= 1
            self._of_client[client] -= 1
            if not self._of_client[client]:
                del self._of_client[client]

    async def run(self, client: str, work: Callable[[], Answer]) -> Answer:
        """Runs work in a thread once it is the client's turn; the turn ends when the thread has ended it."""
        turn = await self._turn(client)
        loop = asyncio.get_running_loop()
        try:
            future = self._threads.submit(work)
        except BaseException:
            turn.end()
            raise
        self._futures.add(future)
        future.add_done_callback(self._futures.discard)
        future.add_done_callback(lambda _: _end_in(loop, turn))
        return await asyncio.wrap_future(future)

    @property
    def has_threads(self) -> bool:
        """Tells that a thread still works."""
        return bool(self._futures)

    def close(self) -> None:
        """Ends the threads; what waits for a turn is cancelled."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _turn(self, client: str) -> _Turn:
        """Waits until the client's next request may work."""
        if self.working < self._turns:
            self.working += 1
            return _Turn(self)
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(client, deque()).append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():  # the turn came at the same moment
                self._pass_on()
            else:
                self._forget(client, waiter)
            raise
        return _Turn(self)

    def _forget(self, client: str, waiter: asyncio.Future[None]) -> None:
        own = self._waiting.get(client, deque())
        if waiter in own:
            own.remove(waiter)
        if not own:
            self._waiting.pop(client, None)

    def _pass_on(self) -> None:
        """Gives a turn to the next client's first request."""
        while self._waiting:
            client = next(iter(self._waiting))
            own = self._waiting.pop(client)
            waiter = own.popleft()
            if own:
                self._waiting[client] = own  # behind all others
            if not waiter.done():
                waiter.set_result(None)
                return
        self.working -= 1

    def ended(self, took_s: float) -> None:
        """Ends a turn that took so long."""
        self._mean_s = _REMEMBERED * self._mean_s + (1 - _REMEMBERED) * took_s
        self._pass_on()


class _Turn:
    """Turn of a request; it is given back once."""

    def __init__(self, admission: Admission) -> None:
        self._admission: Admission | None = admission
        self._began = time.monotonic()

    def end(self) -> None:
        """Gives it back."""
        admission, self._admission = self._admission, None
        if admission is not None:
            admission.ended(time.monotonic() - self._began)


def _end_in(loop: asyncio.AbstractEventLoop, turn: _Turn) -> None:
    """Ends a turn in its loop, where that still runs."""
    with suppress(RuntimeError):
        loop.call_soon_threadsafe(turn.end)
