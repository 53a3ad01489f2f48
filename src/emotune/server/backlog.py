"""Backlog of a stream: bytes that have arrived and are not heard yet, never more than it holds."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque

from emotune.server.cancellation import Cancellation


class Backlog:
    """Bytes between the event loop that receives them and the thread that hears them.

    Who sends more than it holds waits until there is room: nothing is lost, and memory does not grow.

    Args:
        holds: bytes that may wait; a longer message waits alone.
        cancellation: ends the reading.
    """

    def __init__(self, holds: int, cancellation: Cancellation) -> None:
        self.arrived = time.monotonic()
        """Moment at which the last byte came that was taken."""
        self._holds, self._cancellation = holds, cancellation
        self._loop = asyncio.get_running_loop()
        self._room = asyncio.Event()
        self._some = threading.Condition()
        self._waiting: deque[tuple[bytes, float]] = deque()
        self._bytes = 0
        self._taken = b""  # and not read yet
        self._is_ended = False

    async def put(self, content: bytes) -> None:
        """Adds bytes, once there is room for them."""
        arrived = time.monotonic()
        while self._bytes and self._bytes + len(content) > self._holds:
            self._room.clear()
            if self._bytes + len(content) > self._holds:  # not taken in the meantime
                await self._room.wait()
        with self._some:
            self._waiting.append((content, arrived))
            self._bytes += len(content)
            self._some.notify()

    def end(self) -> None:
        """Says that nothing more will come."""
        with self._some:
            self._is_ended = True
            self._some.notify()

    @property
    def is_read(self) -> bool:
        """Tells that all that was taken has been read; more may be waiting."""
        return not self._taken

    def read(self, most: int = -1) -> bytes:
        """Gives from one to so many bytes, by default all that wait; waits for the first, and gives none at the end.

        Raises:
            Cancelled: when nobody waits for answers any more.
        """
        if not self._taken:
            self._take()
        size = len(self._taken) if most < 0 else most
        content, self._taken = self._taken[:size], self._taken[size:]
        return content

    def _take(self) -> None:
        with self._cancellation.calling(self._wake), self._some:
            while not self._waiting and not self._is_ended and not self._cancellation.is_cancelled:
                self._some.wait()
            self._cancellation.check()
            self._taken = b"".join(content for content, _ in self._waiting)
            if self._waiting:
                self.arrived = self._waiting[-1][1]
            self._waiting.clear()
            self._bytes = 0
        self._loop.call_soon_threadsafe(self._room.set)

    def _wake(self) -> None:
        with self._some:
            self._some.notify()
