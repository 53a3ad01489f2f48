"""Processes that train several runs at a time."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from typing import ParamSpec, TypeVar

import torch

from emotune.errors import ModelError
from emotune.runtime import interruption
from emotune.runtime.threads import usable_cores

Value = TypeVar("Value")
Given = ParamSpec("Given")


class TrainingPool(ProcessPoolExecutor):
    """A pool whose processes begin nothing more once they have been interrupted."""

    def submit(self, fn: Callable[Given, Value], /, *args: Given.args, **kwargs: Given.kwargs) -> Future[Value]:
        """Submits a call; it ends in a cancellation where the process has been interrupted."""
        return super().submit(_carried_out, fn, *args, **kwargs)


def _carried_out(fn: Callable[Given, Value], *args: Given.args, **kwargs: Given.kwargs) -> Value:
    try:
        return fn(*args, **kwargs)
    except BaseException:
        if interruption.came():
            interruption.leave()
        raise


def _begin(threads: int) -> None:
    """Takes a share of the cores, and ends with the process that started this one, even if that one is killed."""
    torch.set_num_threads(threads)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    interruption.listen_at_last()


def _be_there() -> None:
    """Nothing: an executor starts a process for it."""


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


@contextmanager
def training_pool(processes: int, *, cores: int | None = None) -> Iterator[TrainingPool]:
    """Processes with their shares of the cores, all that this process may use unless told otherwise.

    When the block fails, what has begun comes to its end and nothing more begins. When it is interrupted, the processes
    are too, and have written their checkpoints when this one goes on.

    Raises:
        KeyboardInterrupt: when it was interrupted, once the processes have ended.
    """
    threads = max(1, (cores or usable_cores()) // processes)
    context = multiprocessing.get_context("spawn")
    pool = TrainingPool(processes, mp_context=context, initializer=_begin, initargs=(threads,))
    with _environment(OMP_NUM_THREADS=str(threads), MKL_NUM_THREADS=str(threads)):
        with interruption.put_off(), interruption.held_back():
            for _ in range(processes):
                pool.submit(_be_there)
            children = multiprocessing.active_children()
        try:
            yield pool
        except BaseException as error:  # what is left is for the same command again
            pool.shutdown(wait=False, cancel_futures=True)
            if isinstance(error, KeyboardInterrupt):
                _end(children)
            raise
        pool.shutdown()


@contextmanager
def broken_pool_told(option: str) -> Iterator[None]:
    """Says what may have ended a process of a pool, and which option to lower.

    Raises:
        ModelError: when the system ended one.
    """
    try:
        yield
    except BrokenProcessPool as error:
        raise ModelError(
            f"A process that trained has ended, perhaps because memory ran out: try fewer {option}. The same command"
            " continues."
        ) from error


def _end(children: Sequence[BaseProcess]) -> None:
    """Interrupts processes, as if each had got the signal itself, and wait until they have ended."""
    left = list(children)
    for child in left:
        child.terminate()
    while left:
        ended = wait([child.sentinel for child in left])
        left = [child for child in left if child.sentinel not in ended]


@contextmanager
def _environment(**variables: str) -> Iterator[None]:
    """Variables for the processes that are started meanwhile: what PyTorch is told does not reach other libraries."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
