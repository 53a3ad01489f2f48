"""Memory of a process: freed blocks are kept for reuse, prepared kernels of a thousand shapes are not."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable
from functools import cache

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX, _ARENA_MAX = -1, -2, -4, -8  # options of glibc's mallopt, from malloc.h
_LARGEST = 2**31 - 1
FEW_KERNELS = {"LRU_CACHE_CAPACITY": "16", "ONEDNN_PRIMITIVE_CACHE_CAPACITY": "64"}
"""Environment of a process before PyTorch is loaded: its CPU library keeps a kernel with its scratch space for each of
the last 1024 shapes, and with clips of all lengths hardly any comes twice. Measured with a small WavLM, that is 300 MB
against more than 800, at the same speed.
"""
_PAD_BYTES = 64 * 2**20


def keep_few_kernels() -> None:
    """Set ``FEW_KERNELS`` for this process and its children, where the user has not set them."""
    for name, value in FEW_KERNELS.items():
        os.environ.setdefault(name, value)


def give_back_freed_memory() -> None:
    """Gives pages of freed blocks back to the system, where the C library is glibc.

    Blocks of ever other sizes leave gaps in the heaps of all threads, which grow without end in small steps.
    """
    give_back = _of_glibc("malloc_trim")
    if give_back is not None:
        give_back(0)


def keep_freed_memory() -> bool:
    """Lets this process keep and reuse freed memory instead of giving every large tensor back to the system.

    glibc returns large blocks at once, and the next one of that size faults in page by page: measured, that is a third
    of the time of an encoder's convolutions. It changes the whole process, so only the command line and its workers
    call it. All threads share one heap: else every one that ever decoded recordings would keep its own.

    Returns:
        Whether the C library took the settings; False where it is not glibc.
    """
    mallopt = _of_glibc("mallopt")
    if mallopt is None:
        return False
    wanted = ((_ARENA_MAX, 1), (_MMAP_MAX, 0), (_TRIM_THRESHOLD, _LARGEST), (_TOP_PAD, _PAD_BYTES))
    taken = [bool(mallopt(option, value)) for option, value in wanted]
    return all(taken)


@cache
def _of_glibc(name: str) -> Callable[..., int] | None:
    """Function of the C library; None where another one serves."""
    return getattr(ctypes.CDLL(None), name, None) if sys.platform.startswith("linux") else None
