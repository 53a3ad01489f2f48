"""Threads on this machine: how many there may be; a short spin before one sleeps until others have done their part."""

from __future__ import annotations

import os

_ROUNDS = "10000"  # of GNU OpenMP's loop, some tenth of a millisecond; by itself it takes 300,000


def spin_briefly() -> None:
    """Sends waiting threads of this process and its children to sleep soon, unless the user has set otherwise.

    PyTorch's threads wait for each other after every operation. On a machine with other work to do, one that spins
    takes the core away from the one it waits for: measured on two cores of an Intel Xeon, a training step of a tiny
    WavLM took 11.6 s at a load of 20, and 1.4 s with threads that go to sleep; on the idle machine .085 and .078 s.

    It counts only before PyTorch is loaded, and for the whole process: the command line calls it.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", _ROUNDS)


def usable_cores() -> int:
    """Cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
