"""Decoded clips on disk, so that the next epoch, and the next run, reads them instead of decoding them again."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout

from emotune.audio import FloatArray
from emotune.errors import ConfigError
from emotune.tables import atomic_path

_LOOK_EVERY = 0.02  # of the limit: so much is written before a process looks whether something must go
_KEPT = 0.9  # of the limit, after something had to go


class AudioCache:
    """Samples by the fingerprint of their recording; what was used longest ago goes when the limit is reached.

    Several processes can use one folder: files appear whole or not at all, and one process at a time makes room.

    Args:
        folder: made where it does not exist.
        most_gb: how much it may hold. Between two looks each process may go a fiftieth beyond it.

    Raises:
        ConfigError: when the folder cannot be written.
    """

    def __init__(self, folder: Path, *, most_gb: float) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            writable = os.access(folder, os.W_OK)
        except OSError as error:
            raise ConfigError(f"data.cache: {folder} cannot be made ({error.strerror or error}).") from error
        if not writable:
            raise ConfigError(f"data.cache: {folder} cannot be written; name another folder, or leave it out.")
        self.folder = folder
        self.most_bytes = most_gb * 1e9
        self._written = math.inf  # look at the first clip: others may have filled it

    def get(self, content_sha256: str, decode: Callable[[], FloatArray]) -> FloatArray:
        """The samples of a recording, shape (samples,), decoded when they are not there."""
        path = self.folder / content_sha256[:2] / f"{content_sha256}.npy"
        try:
            samples = np.load(path)
        except (OSError, ValueError, EOFError):  # not there, just removed, or damaged
            samples = decode()
        else:
            with suppress(OSError):  # another user's file: it only looks older than it is
                os.utime(path)
            return samples
        if samples.nbytes <= self.most_bytes:
            with atomic_path(path) as temporary, temporary.open("wb") as stream:
                np.save(stream, samples)
            self._written += samples.nbytes
            if self._written > _LOOK_EVERY * self.most_bytes:
                self._make_room()
        return samples

    def _make_room(self) -> None:
        self._written = 0.0
        try:
            with FileLock(self.folder / ".lock", timeout=0):
                found = [(s.st_mtime, s.st_size, p) for p in self.folder.glob("*/*.npy") if (s := _stat(p)) is not None]
                total = sum(size for _, size, _ in found)
                if total <= self.most_bytes:
                    return
                for _, size, path in sorted(found):
                    path.unlink(missing_ok=True)
                    total -= size
                    if total <= _KEPT * self.most_bytes:
                        return
        except Timeout:  # another process is making room
            return


def _stat(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except FileNotFoundError:  # another process removed it
        return None
