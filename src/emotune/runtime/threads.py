"""Threads on this machine: how many there may be; a short spin before one sleeps until others have done their part."""

from __future__ import annotations

import functools
import importlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

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


@contextmanager
def one_thread() -> Iterator[None]:
    """Lets libraries of linear algebra use one thread, for fits of small matrices whose threads wait for each other.

    Measured on two busy cores of a virtual AMD EPYC: a logistic regression of 1,000 x 384 values and 8 classes .03 s
    with one thread and .96 s with two, of 10,000 x 1,024 .2 and .4 s.
    """
    with _linear_algebra().limit(limits=1):
        yield


@functools.cache
def _linear_algebra() -> Any:
    """The thread pools of all that scikit-learn loads; found once, since that takes as long as a small fit."""
    importlib.import_module("sklearn.linear_model")
    return importlib.import_module("threadpoolctl").ThreadpoolController()  # comes with scikit-learn
