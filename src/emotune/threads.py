"""Threads of one computation: how long one that has done its part waits for the others by asking again and again."""

from __future__ import annotations

import os

_ROUNDS = "1000"  # of GNU OpenMP's loop, some ten microseconds; by itself it takes 300,000, some milliseconds


def spin_briefly() -> None:
    """Let waiting threads of this process and its children go to sleep soon, where the user has not said otherwise.

    PyTorch's threads wait for each other after every operation. On a machine with other work to do, one that spins
    takes the core away from the one it waits for: measured on two cores with a load of 20, a training step of a tiny
    WavLM took 11.6 s, and 0.8 s with threads that sleep.

    It counts only before PyTorch is loaded, and for the whole process: the command line calls it.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", _ROUNDS)
