"""Cache of slow models' answers on disk: transcripts by recording, embeddings by text."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from emotune.errors import TableError

_AT_A_TIME = 500  # below SQLite's limit of parameters
_WAIT_S = 60.0


class AnswerCache:
    """Cache file of keys and answers that several processes may read and write, each write whole or not at all.

    Use ``open_cache``.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def get(self, keys: Sequence[str]) -> dict[str, bytes]:
        """Answers that the cache holds, by key."""
        found: dict[str, bytes] = {}
        for start in range(0, len(keys), _AT_A_TIME):
            part = list(keys[start : start + _AT_A_TIME])
            marks = ", ".join("?" * len(part))
            found.update(self._connection.execute(f"SELECT key, answer FROM answers WHERE key IN ({marks})", part))
        return found

    def keep(self, answers: Mapping[str, bytes]) -> None:
        """Keeps answers, all of them or, when interrupted, none."""
        with self._connection:
            self._connection.executemany("INSERT OR REPLACE INTO answers VALUES (?, ?)", answers.items())


@contextmanager
def open_cache(folder: Path, identity: Mapping[str, str]) -> Iterator[AnswerCache]:
    """Opens the cache of one model, a file in a folder; both are made if missing.

    Args:
        folder: of the cache.
        identity: of the model, a folder by its last name; another model has another file.

    Raises:
        TableError: when the file cannot be used, with the reason.
    """
    parts = [part.rstrip("/").rsplit("/", 1)[-1] for part in identity.values()]
    name = "-".join(re.sub(r"[^\w.]+", "_", part).strip(".") for part in parts if part)
    path = folder / f"{name}.sqlite"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(path, timeout=_WAIT_S)
    except (OSError, sqlite3.Error) as error:
        raise TableError(f"The cache {path} cannot be used: {error}. Name another folder with --cache.") from error
    try:
        connection.execute("CREATE TABLE IF NOT EXISTS answers (key TEXT PRIMARY KEY, answer BLOB NOT NULL)")
        yield AnswerCache(connection)
    except sqlite3.Error as error:
        raise TableError(
            f"The cache {path} cannot be used: {error}. Remove the file, or name another folder with --cache."
        ) from error
    finally:
        connection.close()
