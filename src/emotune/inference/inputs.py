"""What a user names to be predicted: recordings, folders, tables, manifests and lists, one item after the other."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from emotune import audio
from emotune.conditions import COLUMNS, GENDER, known_of
from emotune.corpora.base import gender_name
from emotune.corpora.rows import columns_of, segment_name
from emotune.errors import TableError
from emotune.inference.predictor import Item, id_fingerprint, with_unique_ids
from emotune.manifest import Manifest, number_or_none, text_or_none
from emotune.tables import SUFFIXES, Row, iter_rows, metadata_path

_SUFFIXES_SHOWN = 8
_KEPT = ("file", "start_s", "end_s", "speaker", "session", "gender", "text", "split")  # of a manifest: not the truth


def items_of(paths: Iterable[Path], *, passed_over: Counter[str] | None = None) -> Iterator[Item]:
    """What the paths stand for, in an order that depends on names alone, with ids that differ.

    Recordings of a single folder are named relative to it, those of several paths as these were given.

    Args:
        paths: recordings, folders, tables, manifests and lists.
        passed_over: counts by suffix what lies in folders and is no recording by its name; begins anew each time.

    Raises:
        TableError: for a table, list or folder that cannot be read. A missing recording is an error row, later.
    """
    given = list(paths)
    others = Counter[str]() if passed_over is None else passed_over
    others.clear()
    yield from with_unique_ids(item for path in given for item in _items_of(path, others, alone=len(given) == 1))


def passed_over_text(passed_over: Mapping[str, int]) -> str:
    """The words for what ``items_of`` counted.

    >>> passed_over_text({".txt": 2, "": 1})
    'passed over in folders: 3 files whose names are not those of recordings (2 .txt, 1 without suffix)'
    """
    total = sum(passed_over.values())
    most = sorted(passed_over.items(), key=lambda pair: (-pair[1], pair[0]))
    shown = [f"{count} {suffix or 'without suffix'}" for suffix, count in most[:_SUFFIXES_SHOWN]]
    if len(most) > _SUFFIXES_SHOWN:
        shown.append(f"{sum(count for _, count in most[_SUFFIXES_SHOWN:])} others")
    files = "1 file whose name is not that of a recording" if total == 1 else f"{total} files whose names are not those"
    return f"passed over in folders: {files}{'' if total == 1 else ' of recordings'} ({', '.join(shown)})"


def _items_of(path: Path, passed_over: Counter[str], *, alone: bool) -> Iterator[Item]:
    if path.is_dir() and path.suffix.lower() not in audio.SUFFIXES:
        names = ((name, name if alone else str(path / name)) for name in _recordings_in(path, passed_over))
        return (Item(shown, path / name, extra={"file": shown}) for name, shown in names)
    if not path.suffix and not os.path.lexists(path):
        raise TableError(f"{path} does not exist: expected a recording, a folder, a table or a .txt list.")
    if path.suffix.lower() in SUFFIXES:
        return _of_manifest(path) if metadata_path(path).exists() else _of_table(path)
    if path.suffix.lower() == ".txt":
        return _of_list(path)
    return iter([Item(str(path), path, extra={"file": str(path)})])


def _recordings_in(folder: Path, passed_over: Counter[str], inside: str = "") -> Iterator[str]:
    """Names of recordings below a folder, relative to it, folder by folder in alphabetical order."""
    try:
        entries = sorted(os.scandir(folder / inside), key=lambda entry: entry.name)
    except OSError as error:
        raise TableError(f"{folder / inside} cannot be read: {error.strerror or error}.") from error
    for entry in entries:
        name = f"{inside}{entry.name}"
        is_recording = Path(entry.name).suffix.lower() in audio.SUFFIXES
        if is_recording and not entry.name.startswith("."):
            yield name  # a folder named like a recording too: that is an error row
        elif entry.is_dir(follow_symlinks=False):
            yield from _recordings_in(folder, passed_over, f"{name}/")
        elif not entry.name.startswith("."):
            passed_over[Path(entry.name).suffix.lower()] += 1


def _of_list(path: Path) -> Iterator[Item]:
    try:
        with path.open(encoding="utf-8-sig") as lines:
            for line in map(str.strip, lines):
                if line:
                    yield Item(line, path.parent / line, extra={"file": line})
    except (OSError, UnicodeDecodeError) as error:
        raise TableError(f"{path} cannot be read as a list of paths: {error}.") from error


def _of_manifest(path: Path) -> Iterator[Item]:
    head, utterances = Manifest.stream(path)
    seen: set[int] = set()
    for utterance in utterances:
        fingerprint = id_fingerprint(utterance.utterance_id)
        if fingerprint in seen:
            raise TableError(f"{path}: utterance_id must be unique, '{utterance.utterance_id}' appears more than once.")
        seen.add(fingerprint)
        yield Item(
            utterance.utterance_id,
            head.path_of(utterance),
            utterance.start_s,
            utterance.end_s,
            {name: getattr(utterance, name) for name in _KEPT} | dict(utterance.extra),
            utterance.content_sha256,
            known=known_of(utterance),
        )


def _of_table(path: Path) -> Iterator[Item]:
    header = _header_of(path)
    if not header:
        raise TableError(f"{path} has no rows.")
    found = columns_of(header, {}, {})
    if "file" not in found:
        raise TableError(
            f"{path} has no column for the recordings (file, path, wav, audio); it has {', '.join(header)}."
        )
    for number, row in enumerate(iter_rows(path), start=1):
        yield _of_row(row, found, path, number)


def _header_of(path: Path) -> list[str]:
    """All columns of a table; a row of JSONL may have more than the one before it."""
    header: dict[str, None] = {}
    for row in iter_rows(path):
        header |= dict.fromkeys(row)
        if path.suffix.lower() != ".jsonl":
            break
    return list(header)


def _known_in(row: Row, found: Mapping[str, str]) -> dict[str, str]:
    """What a user's row says of gender and text."""
    columns = {column: found.get(column, column) for pair in COLUMNS.values() for column in pair}
    values = {column: str(row[name]) for column, name in columns.items() if row.get(name)}
    return {column: gender_name(value) or "" if column == GENDER else value for column, value in values.items()}


def _of_row(row: Row, found: Mapping[str, str], table: Path, number: int) -> Item:
    """One row of a user's table; what is wrong with it becomes its error, and the other rows go on."""
    where = f"{table}, row {number}"

    def number_in(field: str) -> float | None:
        return number_or_none(row.get(found[field]), f"{where}, {found[field]}") if field in found else None

    try:
        given = text_or_none(row.get(found["utterance_id"]), where) if "utterance_id" in found else None
        file = text_or_none(row.get(found["file"]), f"{where}, {found['file']}")
        if file is None:
            raise TableError(f"{where}: {found['file']} is empty, expected the path of a recording.")
        start_s, end_s = number_in("start_s"), number_in("end_s")
    except TableError as error:
        return Item(f"row {number}", table, extra=row, error=str(error))
    return Item(
        given or file + segment_name(start_s, end_s),
        table.parent / file,
        start_s,
        end_s,
        row,
        known=_known_in(row, found),
    )
