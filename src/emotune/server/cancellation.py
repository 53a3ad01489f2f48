"""Cancellation of work that nobody waits for any more: asked for by its threads, told to those that sleep."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Cancelled(Exception):  # noqa: N818 (no fault of anybody)
    """Raised in work that was cancelled."""


class Cancellation:
    """Tells work in threads that nobody waits for it any more."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_cancelled = False
        self._calls: list[Callable[[], None]] = []

    @property
    def is_cancelled(self) -> bool:
        """Tells that nobody waits any more."""
        return self._is_cancelled

    def cancel(self) -> None:
        """Ends the work; safe from any thread, and again."""
        with self._lock:
            self._is_cancelled = True
            calls, self._calls = self._calls, []
        for call in calls:
            call()

    def check(self) -> None:
        """Raises in work that was cancelled.

        Raises:
            Cancelled: if it was.
        """
        if self._is_cancelled:
            raise Cancelled

    @contextmanager
    def calling(self, call: Callable[[], None]) -> Iterator[None]:
        """Calls back when it is cancelled during the block, at once where it is already."""
        with self._lock:
            was_cancelled = self._is_cancelled
            if not was_cancelled:
                self._calls.append(call)
        if was_cancelled:
            call()
        try:
            yield
        finally:
            with self._lock:
                if call in self._calls:
                    self._calls.remove(call)
