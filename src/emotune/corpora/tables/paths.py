"""Paths in a corpus's label files, resolved to recordings."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path, PureWindowsPath
from urllib.parse import unquote

from emotune.audio import SUFFIXES
from emotune.errors import TableError, quoted

_LOSSLESS = (".wav", ".flac", ".WAV", ".FLAC")
_SERVED = re.compile(r"(https?:/+[^/]+)?/data/(upload/(?P<upload>.+)|local-files/?\?d=(?P<local>.+))")
_UPLOAD_PREFIX = re.compile(r"^[0-9a-f]{8}-")


def recording_at(written: str | Path, root: Path) -> Path:
    """The path of a recording as a table writes it, below ``root`` unless it is absolute.

    Understood are backslashes between folders, names without the recording's suffix, and the addresses of a Label
    Studio export. Recordings are looked for only where the path is such a one.
    """
    path = root / written
    try:
        path = _served(path, root, _SERVED.fullmatch(str(written)))
        if "\\" in str(written) and not path.exists():
            path = root / str(written).replace("\\", "/")
        if path.suffix.lower() in SUFFIXES or (path.exists() and not path.is_dir()):
            return path
        named = [Path(f"{path}{suffix}") for suffix in (*SUFFIXES, *map(str.upper, SUFFIXES))]
        return next((twin for twin in named if twin.is_file()), path)
    except OSError:  # such as a name that is too long: whoever opens it says so
        return path


def _served(path: Path, root: Path, address: re.Match[str] | None) -> Path:
    """The file behind an address of Label Studio, which serves ``/data/upload/2/0d1e2f3a-name.wav`` for an upload."""
    if address is None or path.exists():
        return path
    if address["local"]:
        return root / unquote(address["local"])
    file = Path(unquote(address["upload"]))
    below = [f"media/upload/{file}", f"upload/{file}", file, file.name, _UPLOAD_PREFIX.sub("", file.name)]
    return next((root / name for name in below if (root / name).is_file()), root / file.name)


def _stored(path: Path) -> Path:
    """The path, or the same recording stored as .wav or .flac beside where the labels say it is."""
    if path.exists() or path.suffix.lower() not in SUFFIXES:
        return path
    return next((twin for twin in map(path.with_suffix, _LOSSLESS) if twin.exists()), path)


def inside(path: Path, root: Path, where: str) -> str:
    """Path of a recording relative to the root.

    Symbolic links below the root may lead anywhere. A recording that is stored as FLAC where the labels say WAV, or the
    other way round, is found all the same; see also ``recording_at``.

    Raises:
        TableError: for one that is written to lead outside, or no path at all.
    """
    try:
        if "\0" in str(path):
            raise ValueError("it holds a NUL")
        full = _stored(recording_at(path, root))
        for base in (root, Path(os.path.abspath(root)), root.resolve()):  # noqa: PTH100 (links stay as they are)
            if full.is_relative_to(base) and ".." not in full.relative_to(base).parts and not _has_drive(path):
                return full.relative_to(base).as_posix()
        resolved = full.resolve()
    except (OSError, ValueError, RuntimeError) as error:  # a loop of links, a name that is too long
        raise TableError(f"{where}: {quoted(str(path))} is no usable path: {error}.") from error
    if resolved.is_relative_to(root.resolve()) and not _has_drive(path):
        return resolved.relative_to(root.resolve()).as_posix()
    raise TableError(
        f"lies outside the folder of the recordings ({root}) by '..' or an absolute path. Name the folder above it with"
        " --audio-root, where the corpus takes that, or write paths relative to it; links below it may lead outside."
    )


def shared_folder(paths: Iterable[str], start: Path) -> Path:
    """Folder that the recordings of a table start from.

    It is the table's own, ``start``; but of paths that are all absolute, and not all below it, the one that they share.
    """
    given = [Path(path) for path in paths if not _SERVED.fullmatch(path)]
    if not given or not all(path.is_absolute() for path in given):
        return start
    bases = (Path(os.path.abspath(start)), start.resolve())  # noqa: PTH100 (links stay as they are)
    if all(any(path.is_relative_to(base) for base in bases) for path in given):
        return start
    return Path(os.path.commonpath([path.parent for path in given]))


def _has_drive(path: Path) -> bool:
    return PureWindowsPath(path).drive.endswith(":")
