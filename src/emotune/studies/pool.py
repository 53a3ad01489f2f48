"""Processes that train several runs at a time."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager

import torch

from emotune.inference.workers import usable_cores


@contextmanager
def training_pool(processes: int) -> Iterator[ProcessPoolExecutor]:
    """Processes with their shares of the cores. When the block fails, what has begun ends and nothing more begins."""
    pool = ProcessPoolExecutor(
        processes,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=torch.set_num_threads,
        initargs=(max(1, usable_cores() // processes),),
    )
    try:
        yield pool
    except BaseException:  # what is left is for the same command again
        pool.shutdown(wait=False, cancel_futures=True)
        raise
    pool.shutdown()
