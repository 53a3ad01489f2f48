"""Beginning and end of a process of the command line, both of which PyTorch makes long."""

from __future__ import annotations

import atexit
import gc
import os
import sys
import threading
from collections.abc import Callable
from typing import NoReturn

_ALLOCATIONS = 10_000  # Python's own is 700


def collect_seldom() -> None:
    """Looks for unreachable objects less often: importing PyTorch makes a million that stay, .3 s of looking."""
    gc.set_threshold(_ALLOCATIONS, *gc.get_threshold()[1:])


def run_and_leave(work: Callable[[], None]) -> NoReturn:
    """Runs the work and ends the process with its exit code, without taking modules apart: PyTorch's take .6 s.

    What was registered for the end is run, and written text is flushed. Where other threads still work, or the text
    cannot be written, Python ends the process in its own way.
    """
    code: object = 0
    try:
        work()
    except SystemExit as end:
        code = end.code or 0
    others = [thread for thread in threading.enumerate() if thread is not threading.main_thread()]
    if not isinstance(code, int) or not all(thread.daemon for thread in others):
        sys.exit(code)  # pyright: ignore[reportArgumentType]
    atexit._run_exitfuncs()  # pyright: ignore[reportPrivateUsage]
    try:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
    except (OSError, ValueError):  # nobody reads it any more
        sys.exit(code)
    os._exit(code)
