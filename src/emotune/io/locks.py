"""One process at a time in a folder."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from emotune.errors import ConfigError, TableError

LOCK = ".lock"
_NO_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP)  # what file systems say that know none


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Holds a lock file for the time of the block; on file systems without locks, holds nothing.

    Raises:
        Timeout: when another process holds it.
        OSError: when it cannot be written.
    """
    lock = FileLock(path, timeout=0, fallback_to_soft=False)
    try:
        lock.acquire()
    except NotImplementedError:
        pass
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
    try:
        yield
    finally:
        lock.release()


@contextmanager
def alone_in(folder: Path, *, others: str) -> Iterator[None]:
    """Keeps other processes out of a folder, which is made if missing, and removed if it stays empty.

    Args:
        folder: holds the lock, a hidden file.
        others: what another process is doing there, such as "training into".

    Raises:
        ConfigError: when another process is in it, or it is no folder.
        TableError: when it cannot be written.
    """
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"{folder} exists and is not a folder; choose another with -o.")
    is_new = not folder.exists()
    try:
        with ExitStack() as lock:
            try:
                folder.mkdir(parents=True, exist_ok=True)
                lock.enter_context(held(folder / LOCK))
            except Timeout as error:
                raise ConfigError(
                    f"Another process is {others} {folder}; wait for it, or choose another folder."
                ) from error
            except OSError as error:
                reason = error.strerror or error
                raise TableError(f"{folder} cannot be written ({reason}); choose another folder.") from error
            try:
                yield
            finally:
                (folder / LOCK).unlink(missing_ok=True)
    finally:
        if is_new:
            with suppress(OSError):  # when there is something in it
                folder.rmdir()
