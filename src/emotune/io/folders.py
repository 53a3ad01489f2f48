"""The files below a folder, those behind symbolic links too: on clusters, corpora lie behind them."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from pathlib import Path

from emotune.errors import TableError


def files_below(folder: Path, *, whole: Collection[str] = ()) -> Iterator[Path]:
    """Files below a folder, in alphabetical order; a link to a folder above itself is skipped.

    Args:
        folder: one that does not exist has no files.
        whole: a folder whose name ends in one of these suffixes is given itself, in place of the files in it.

    Raises:
        TableError: for a folder that may not be read.
    """
    if folder.is_dir():
        yield from _below(folder, {suffix.lower() for suffix in whole}, frozenset())


def _below(folder: Path, whole: Collection[str], above: frozenset[tuple[int, int]]) -> Iterator[Path]:
    try:
        here = folder.stat()
        with os.scandir(folder) as found:
            entries = sorted(found, key=lambda entry: entry.name)
    except OSError as error:
        raise TableError(f"{folder} cannot be read: {error.strerror or error}.") from error
    if (here.st_dev, here.st_ino) in above:
        return
    for entry in entries:
        path = folder / entry.name
        is_folder = path.is_dir() if entry.is_symlink() else entry.is_dir()
        if is_folder and path.suffix.lower() not in whole:
            yield from _below(path, whole, above | {(here.st_dev, here.st_ino)})
        else:
            yield path
