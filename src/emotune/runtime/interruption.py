"""Ctrl-C and SIGTERM: raised in the work, never lost, and put off while a step must be done whole.

Python raises an interrupt wherever the main thread happens to be, and one that lands in a ``__del__`` or a callback is
printed and forgotten. Here it is raised again, until the work ends.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

SIGNALS = (signal.SIGINT, signal.SIGTERM)
_AGAIN_AFTER_S = 0.05  # an interrupt that was swallowed is raised again
_SAME_WITHIN_S = 1.0  # a terminal and a launcher each send one: what comes so soon is the same Ctrl-C


class _State:
    """Signals that have come to this process."""

    came: signal.Signals | None = None
    at = 0.0
    depth = 0
    is_waiting = False


_state = _State()


def listen() -> None:
    """Lets SIGINT and SIGTERM raise ``KeyboardInterrupt`` in the main thread from now on.

    One that is ignored stays so: shells start jobs in the background without SIGINT.
    """
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _arrived)
    signal.signal(signal.SIGALRM, _arrived_again)
    sys.unraisablehook = _not_lost


@contextmanager
def listening() -> Iterator[None]:
    """Listens for the time of the block."""
    global _state  # noqa: PLW0603 (a process has one main thread)
    before, hook = {number: signal.getsignal(number) for number in (*SIGNALS, signal.SIGALRM)}, sys.unraisablehook
    _state = _State()
    listen()
    try:
        yield
    finally:
        sys.unraisablehook = hook
        for number, handler in before.items():
            signal.signal(number, handler)


def came() -> signal.Signals | None:
    """The first signal that was heard; None where there was none."""
    return _state.came


def in_words() -> str:
    """The interrupt as a message calls it."""
    return "ended by SIGTERM" if _state.came is signal.SIGTERM else "interrupted"


@contextmanager
def put_off() -> Iterator[None]:
    """Runs the block as a whole: an interrupt that arrives meanwhile is raised after it.

    A second Ctrl-C, a second or more after the first, is raised at once.

    Raises:
        KeyboardInterrupt: after the block, where an interrupt came.
    """
    _state.depth += 1
    try:
        yield
    finally:
        _state.depth -= 1
        if _state.is_waiting and not _state.depth:
            _state.is_waiting = False
            raise KeyboardInterrupt


@contextmanager
def held_back() -> Iterator[None]:
    """Starts processes that hear nothing until they call ``ignore`` or ``listen_at_last``."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def ignore() -> None:
    """Leaves interrupts to the process that started this one."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])


def listen_at_last() -> None:
    """Listens in a process that was started under ``held_back``; one that has been interrupted already ends here."""
    listen()
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
    except KeyboardInterrupt:
        leave()


def leave() -> NoReturn:
    """Ends this process with the exit code of its signal, without waiting for threads that still work."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(128 + (_state.came or signal.SIGINT))


def _arrived(number: int, frame: FrameType | None) -> None:
    is_first = _state.came is None
    if is_first:
        _state.came, _state.at = signal.Signals(number), time.monotonic()
    elif number == signal.SIGTERM or time.monotonic() - _state.at < _SAME_WITHIN_S:
        return
    if is_first and _state.depth:
        _state.is_waiting = True
        return
    raise KeyboardInterrupt


def _arrived_again(number: int, frame: FrameType | None) -> None:
    if _state.depth:
        _state.is_waiting = True
        return
    raise KeyboardInterrupt


def _not_lost(unraisable: sys.UnraisableHookArgs) -> None:
    if issubclass(unraisable.exc_type, KeyboardInterrupt):
        signal.setitimer(signal.ITIMER_REAL, _AGAIN_AFTER_S)
    else:
        sys.__unraisablehook__(unraisable)
