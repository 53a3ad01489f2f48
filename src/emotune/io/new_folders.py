"""Folders that appear whole or not at all."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from emotune.errors import ConfigError


def check_new(output: Path) -> None:
    """Refuses a folder to make that is there, before any work is done for it.

    Raises:
        ConfigError: naming it.
    """
    if output.exists():
        raise ConfigError(f"{output} is there already; name another folder with -o, or remove it.")


@contextmanager
def new_folder(output: Path) -> Iterator[Path]:
    """Gives an empty folder beside the output, which takes its name at the end; after an error nothing is left."""
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output.parent, prefix=f".{output.name}.") as temporary:
        made = Path(temporary) / output.name
        made.mkdir()
        yield made
        made.rename(output)
