"""Cache of arrays on disk, by the fingerprint of a recording; every array is checked as it is read."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emotune.errors import TableError
from emotune.io.tables import atomic_path

FloatArray = NDArray[np.float32]
CONTENT = re.compile(r"[0-9a-f]{64}")
"""A ``content_sha256``."""


def array_path(folder: Path, content_sha256: str) -> Path:
    """Path of a recording's array in a cache.

    Raises:
        TableError: if the key is no fingerprint, and so could lead out of the folder.
    """
    if not CONTENT.fullmatch(content_sha256):
        raise TableError(f"content_sha256 is {content_sha256!r}, expected 64 digits from 0 to 9 and a to f.")
    return folder / content_sha256[:2] / f"{content_sha256}.npy"


def read_array(path: Path, shape: tuple[int | None, ...]) -> FloatArray | None:
    """Finite float32 array of the given shape (None = any size from 1), or None if the cache holds no such array.

    A damaged file counts as absent.
    """
    if not path.is_file():  # a pipe of that name would be waited for
        return None
    try:
        mapped = np.load(path, mmap_mode="r")  # a file that is too short for what its header promises is refused
        fits = isinstance(mapped, np.memmap) and mapped.dtype == np.float32 and len(mapped.shape) == len(shape)
        if not fits or any(size != (wanted or max(size, 1)) for size, wanted in zip(mapped.shape, shape, strict=True)):
            return None
        values = np.array(mapped)
    except (OSError, ValueError, EOFError, MemoryError, OverflowError, TypeError):
        return None
    return values if bool(np.isfinite(values).all()) else None


def write_array(path: Path, values: FloatArray) -> None:
    """Writes an array of any shape, whole or not at all."""
    with atomic_path(path) as temporary, temporary.open("wb") as stream:
        np.save(stream, values)
