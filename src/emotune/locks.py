"""One process at a time in a folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from emotune.errors import ConfigError, TableError

LOCK = ".lock"


@contextmanager
def alone_in(folder: Path, *, others: str) -> Iterator[None]:
    """Keep other processes out of a folder, which is made where it does not exist; nothing written, nothing left.

    On file systems that know no locks it keeps nobody out.

    Args:
        folder: holds the lock, a hidden file.
        others: what another process is doing there, such as "training into".

    Raises:
        ConfigError: when another process is in it, or it is no folder.
        TableError: when it cannot be written.
    """
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"{folder} exists and is not a folder; choose another with -o.")
    lock = FileLock(folder / LOCK)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except Timeout as error:
        raise ConfigError(f"Another process is {others} {folder}; wait for it, or choose another folder.") from error
    except NotImplementedError:  # filelock's word for a file system without locks
        pass
    except OSError as error:
        raise TableError(f"{folder} cannot be written ({error.strerror or error}); choose another folder.") from error
    try:
        yield
    finally:
        (folder / LOCK).unlink(missing_ok=True)
        lock.release()
        with suppress(OSError):  # when there is something in it
            folder.rmdir()
