"""Keys of clients: the server knows their hashes alone, and compares in the same time whatever is given.

A key is 256 random bits, so a plain SHA-256 of it cannot be turned back; words that people choose are no keys.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path

from emotune.errors import ConfigError, quoted

PREFIX = "sha256:"
VARIABLE = "EMOTUNE_KEYS"
"""Environment variable that holds hashes, separated by spaces or commas."""

_HASH = re.compile(r"sha256:[0-9a-f]{64}")
_SHOWN = 8


def new_key() -> tuple[str, str]:
    """A new key, and its hash."""
    key = "emotune-" + secrets.token_urlsafe(32)
    return key, hash_of(key)


def hash_of(key: str) -> str:
    """Hash of a key, as a file of keys holds it."""
    return PREFIX + hashlib.sha256(key.encode()).hexdigest()


def read_keys(file: Path | None, environment: Mapping[str, str]) -> tuple[str, ...]:
    """Hashes of a file, one a line with ``#`` before remarks, and of the environment.

    Raises:
        ConfigError: for a file that cannot be read, and for what is no hash, such as the key itself.
    """
    found: list[str] = []
    if file is not None:
        try:
            lines = file.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{file} cannot be read: {getattr(error, 'strerror', None) or error}.") from error
        words = [(f"{file}, line {number}", line.partition("#")[0]) for number, line in enumerate(lines, start=1)]
        found += [_hash(word, where) for where, text in words for word in text.split()]
        if not found:
            raise ConfigError(f"{file} holds no keys, so everyone would be refused. Make one: emotune serve --new-key.")
    found += [_hash(word, VARIABLE) for word in re.split(r"[\s,]+", environment.get(VARIABLE, "")) if word]
    return tuple(dict.fromkeys(found))


def client_of(key: str, keys: Sequence[str]) -> str | None:
    """Name for a key in logs, the beginning of its hash; None where the key is not known."""
    given = hash_of(key)
    known = [hmac.compare_digest(given, one) for one in keys]  # all of them, whichever it is
    return given[len(PREFIX) : len(PREFIX) + _SHOWN] if any(known) else None


def _hash(word: str, where: str) -> str:
    if not _HASH.fullmatch(word):
        shown = quoted(word) if word.startswith(PREFIX) else "something else"
        raise ConfigError(
            f"{where}: expected the hash of a key, sha256: and 64 digits, got {shown}. emotune serve --new-key makes a"
            " key and its hash."
        )
    return word
