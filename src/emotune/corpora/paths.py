"""Where the paths of a corpus's label files lead."""

from __future__ import annotations

from pathlib import Path

from emotune.errors import TableError

_LOSSLESS = (".wav", ".flac", ".WAV", ".FLAC")


def _stored(path: Path) -> Path:
    """The path, or the same recording stored as .wav or .flac beside where the labels say it is."""
    if path.exists():
        return path
    return next((twin for twin in map(path.with_suffix, _LOSSLESS) if path.suffix and twin.exists()), path)


def inside(path: Path, root: Path, where: str) -> str:
    """The path of a recording relative to the root, or a TableError for one that leads outside.

    A recording that is stored as FLAC where the labels say WAV, or the other way round, is found all the same.
    """
    try:
        full = _stored(path if path.is_absolute() else root / path).resolve()
    except (OSError, ValueError) as error:  # a loop of links, a NUL in the name
        raise TableError(f"{where}: {str(path)!r} is no usable path: {error}.") from error
    if not full.is_relative_to(root):
        raise TableError(
            f"{where}: {path} lies outside the folder of the recordings ({root}). Give it with --audio-root."
        )
    return full.relative_to(root).as_posix()
