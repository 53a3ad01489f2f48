"""Cache of decoded clips on disk, by the fingerprint of their recording, for the next epoch and the next run."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from filelock import Timeout

from emotune.audio import FloatArray
from emotune.errors import ConfigError, TableError
from emotune.io.array_cache import array_path, read_array, write_array
from emotune.io.locks import held

_LOOK_EVERY = 0.02  # of the limit: so much is written before a process looks whether something must go
_KEPT = 0.9  # of the limit, after something had to go
_OWN = re.compile(r"[0-9a-f]{64}\.npy")  # what lies in the folder under other names is not ours to remove


class AudioCache:
    """Cache of samples by the fingerprint of their recording; the least recently used go when it is full.

    Several processes can use one folder: files appear whole or not at all, and one process at a time makes room.

    A folder that others fill and that cannot be written is read from.

    Args:
        folder: made where it does not exist.
        most_gb: how much it may hold. Between two looks each process may go a fiftieth beyond it.

    Raises:
        ConfigError: when it is no folder, or an empty one that cannot be written.
    """

    def __init__(self, folder: Path, *, most_gb: float) -> None:
        if folder.exists() and not folder.is_dir():
            raise ConfigError(f"data.cache: {folder} is not a folder.")
        there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
        if not os.access(there, os.W_OK) and not (folder.is_dir() and any(folder.iterdir())):
            raise ConfigError(f"data.cache: {there} cannot be written; name another folder, or leave it out.")
        self.folder = folder
        self.most_bytes = most_gb * 1e9
        self._written = math.inf  # look at the first clip: others may have filled it

    def get(self, content_sha256: str, decode: Callable[[], FloatArray]) -> FloatArray:
        """Samples of a recording, shape (samples,), decoded and kept if the cache lacks them."""
        path = array_path(self.folder, content_sha256)
        cached = read_array(path, (None,))
        if cached is not None:
            with suppress(OSError):  # another user's file: it only looks older than it is
                os.utime(path)
            return cached
        samples = decode()  # not there, just removed, or damaged
        self.keep(content_sha256, samples)
        return samples

    def holds(self, content_sha256: str) -> bool:
        """Tells whether the cache holds the samples of a recording, without reading them."""
        return array_path(self.folder, content_sha256).exists()

    def keep(self, content_sha256: str, samples: FloatArray) -> None:
        """Keeps the samples of a recording, shape (samples,), if they fit in."""
        if samples.nbytes > self.most_bytes:
            return
        with suppress(OSError, TableError):  # a full disk, or a folder of another user: training goes on without
            write_array(array_path(self.folder, content_sha256), samples)
            self._written += samples.nbytes
            if self._written > _LOOK_EVERY * self.most_bytes:
                self._make_room()

    def _make_room(self) -> None:
        self._written = 0.0
        with suppress(Timeout), held(self.folder / ".lock"):  # or another process is making room
            own = [path for path in self.folder.glob("*/*.npy") if _OWN.fullmatch(path.name)]
            found = [(s.st_mtime, s.st_size, path) for path in own if (s := _stat(path)) is not None]
            total = sum(size for _, size, _ in found)
            if total <= self.most_bytes:
                return
            for _, size, path in sorted(found):
                path.unlink(missing_ok=True)
                total -= size
                if total <= _KEPT * self.most_bytes:
                    return


def _stat(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except FileNotFoundError:  # another process removed it
        return None
