"""Formats of timelines by suffix: tables and JSON hold all that is known, annotation files what their tools show."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from emotune.errors import ConfigError, TableError
from emotune.io.tables import check_file, write_text
from emotune.timelines.formats.audacity import audacity_text
from emotune.timelines.formats.elan import elan_text
from emotune.timelines.formats.hume import hume_batch_text, hume_text
from emotune.timelines.formats.json_document import json_text
from emotune.timelines.formats.labels import plain_name
from emotune.timelines.formats.rttm import rttm_text
from emotune.timelines.formats.table import write_table
from emotune.timelines.formats.textgrid import textgrid_text
from emotune.timelines.formats.webvtt import webvtt_text
from emotune.timelines.timeline import Timeline, Timelines

PLACE = "{name}"
"""Placeholder of a file name for the recording's, where each recording has a file of its own."""

OF_MANY: Mapping[str, Callable[[Timelines], str]] = {
    ".json": json_text,
    ".rttm": rttm_text,
    ".hume-batch.json": hume_batch_text,
}
OF_ONE: Mapping[str, Callable[[Timeline], str]] = {
    ".textgrid": textgrid_text,
    ".txt": audacity_text,
    ".vtt": webvtt_text,
    ".eaf": elan_text,
    ".hume.json": hume_text,
}
TABLES = (".csv", ".jsonl", ".parquet")
SUFFIXES = (".json", *TABLES, ".rttm", ".TextGrid", ".txt", ".vtt", ".eaf", ".hume.json", ".hume-batch.json")


def check_formats(paths: Sequence[Path], recordings: Sequence[str], inputs: Sequence[Path]) -> None:
    """Refuses, before any work, paths where timelines could not be written.

    Raises:
        ConfigError: for an unknown suffix, or one file for many recordings where the format holds one.
        TableError: for a path that cannot be written to.
    """
    for path in paths:
        suffix = suffix_of(path)
        if suffix not in (*OF_MANY, *OF_ONE, *TABLES):
            raise ConfigError(f"{path}: the name of a timeline must end in {', '.join(SUFFIXES)}, not '{path.suffix}'.")
        check_place(path, recordings, one_each=suffix in OF_ONE)
        if PLACE not in str(path):
            check_file(path, inputs=inputs)


def check_place(path: Path, recordings: Sequence[str], *, one_each: bool) -> None:
    """Refuses one file for several recordings where its kind holds one, and files that would replace each other.

    Raises:
        ConfigError: with the name that would do, or the recordings that share a file.
    """
    taken: dict[Path, str] = {}
    for recording in recordings if PLACE in str(path) else ():
        other = taken.setdefault(place_of(path, recording), recording)
        if other != recording:
            raise ConfigError(
                f"{path}: {other} and {recording} would both be {place_of(path, recording)}. Give their common folder"
                " as the input, so that their names differ."
            )
    if one_each and len(recordings) > 1 and PLACE not in str(path):
        raise ConfigError(
            f"{path} can hold one recording, and {len(recordings)} are given: write {PLACE} where the name of each"
            f" shall stand, such as '{path.with_name(PLACE + path.suffix)}'."
        )


def suffix_of(path: Path) -> str:
    """Suffix that chooses the format, in lower case; some have two parts.

    >>> suffix_of(Path("v1.2/a.TextGrid")), suffix_of(Path("a.hume.json")), suffix_of(Path("a.b.json"))
    ('.textgrid', '.hume.json', '.json')
    """
    double = "".join(path.suffixes[-2:]).lower()
    return double if double in (*OF_MANY, *OF_ONE) else path.suffix.lower()


def place_of(path: Path, recording: str) -> Path:
    """The file of a recording: its name in place of ``{name}``, without suffix; with the folders below a common one.

    >>> place_of(Path("out/{name}.vtt"), "deep/call.wav"), place_of(Path("out/{name}.vtt"), "../deep/call.wav")
    (PosixPath('out/deep/call.vtt'), PosixPath('out/call.vtt'))
    """
    name = plain_name(recording)
    inner = Path(name)
    below = not inner.is_absolute() and ".." not in inner.parts
    return Path(str(path).replace(PLACE, name if below else inner.name))


def write_timelines(path: Path, timelines: Timelines) -> None:
    """Writes timelines to one file, or each to its own where the path holds ``{name}``.

    Recordings that failed are rows of tables and JSON, and nothing elsewhere.

    Raises:
        TableError: when a file cannot be written.
    """
    if PLACE in str(path):
        for timeline in timelines:
            if timeline.error is None or suffix_of(path) not in OF_ONE:
                _write(place_of(path, timeline.recording), Timelines((timeline,), timelines.label_space))
        return
    _write(path, timelines)


def _write(path: Path, timelines: Timelines) -> None:
    suffix = suffix_of(path)
    if suffix in TABLES:
        write_table(path, timelines)
    elif suffix in OF_MANY:
        write_text(path, OF_MANY[suffix](timelines))
    elif suffix in OF_ONE:
        whole = [timeline for timeline in timelines if timeline.error is None]
        if len(whole) > 1:
            raise TableError(f"{path} can hold one recording, {len(whole)} are given.")
        if whole:
            write_text(path, OF_ONE[suffix](whole[0]))
    else:
        raise TableError(f"{path}: the name of a timeline must end in {', '.join(SUFFIXES)}, not '{path.suffix}'.")
