"""MSP-Podcast's single ratings: one worker's words for one recording, in each of the forms that releases have.

``labels_detailed.csv`` has one row a rating, in one of two layouts that its columns tell apart: a column for each value
(``EmoClass_Major``, ``EmoClass_Second``), or one string ``EmoDetail``:
``WORKER123; Angry; Angry,Frustrated; A:5.0; V:2.0; D:5.0;``. ``labels_detailed.json`` holds
``{file: {worker: {...}}}``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any

from emotune.corpora.base import rows_with
from emotune.errors import CorpusError
from emotune.io.tables import read_json
from emotune.schema.labels import class_noun
from emotune.schema.manifest import Skipped

_DETAIL = re.compile(r"\s*[^;]+;\s*([^;]*);\s*([^;]*);\s*A:[^;]*;\s*V:[^;]*;\s*D:[^;]*;?\s*")
_OWN_WORDS = {
    "angry", "sad", "happy", "surprise", "fear", "disgust", "contempt", "neutral", "amused", "frustrated", "depressed",
    "concerned", "disappointed", "excited", "confused", "annoyed",
}  # fmt: skip


@dataclass(frozen=True)
class Rating:
    """Emotions that one worker named for a recording: class -> the worker's word, the main one (or none) and all."""

    stem: str
    primary: Mapping[str, str]
    all: Mapping[str, str]

    @property
    def secondary(self) -> list[str]:
        """Classes that the worker named beside the main one."""
        return [noun for noun in self.all if noun not in self.primary]


def ratings(folder: Path) -> Iterator[Rating | Skipped]:
    """The ratings in a folder of labels; none where it has no file of them.

    Raises:
        CorpusError: for a file of neither layout.
        TableError: for a file that is no table.
    """
    table, twin = folder / "labels_detailed.csv", folder / "labels_detailed.json"
    if table.is_file():
        with table.open(encoding="utf-8-sig", errors="replace") as stream:
            header = stream.readline()
        names = [name.strip().strip('"') for name in header.split(",")]
        yield from _strings(table) if names == ["FileName", "EmoDetail"] else _columns(table)
    elif twin.is_file():
        yield from _twin(twin)


def _columns(path: Path) -> Iterator[Rating | Skipped]:
    for where, row in rows_with(path, ("FileName", "EmoClass_Major", "EmoClass_Second")):
        if row["FileName"]:
            yield _rating(row["FileName"], row["EmoClass_Major"], row["EmoClass_Second"])
        else:
            yield Skipped(where, f"{where}: FileName is empty, expected the name of a recording")


def _strings(path: Path) -> Iterator[Rating | Skipped]:
    """The layout of one string; it holds commas, and not every release quotes it."""
    with path.open(encoding="utf-8-sig", errors="replace") as stream:
        for number, line in enumerate(stream, start=1):
            file, _, detail = line.strip().partition(",")
            if number == 1 or not line.strip():
                continue
            match = _DETAIL.fullmatch(detail.strip('"'))
            if match is None:
                expected = "'WORKER; primary; secondary; A:1.0; V:1.0; D:1.0;'"
                yield Skipped(file, f"{path}, line {number}: expected {expected}, got {detail[:80]!r}")
            else:
                yield _rating(file.strip('"'), match[1], match[2])


def _twin(path: Path) -> Iterator[Rating | Skipped]:
    for file, by_worker in read_json(path, "The label file").items():
        if not isinstance(by_worker, dict) or not all(isinstance(values, dict) for values in by_worker.values()):
            yield Skipped(file, f"{path}, '{file}': expected an object with one object a worker")
            continue
        for values in by_worker.values():
            yield _rating(file, values.get("EmoClass_Major"), values.get("EmoClass_Second"))


def _rating(file: str, primary: Any, secondary: Any) -> Rating:
    listed = ",".join(map(str, secondary)) if isinstance(secondary, list) else str(secondary or "")
    main = _classes((str(primary or ""),))
    return Rating(PurePosixPath(file).stem, main, {**main, **_classes(tuple(listed.split(",")))})


@lru_cache(maxsize=4096)
def _classes(words: tuple[str, ...]) -> Mapping[str, str]:
    """Class -> the worker's word. After ``Other-...``, unknown words belong to that free text."""
    found: dict[str, str] = {}
    for word in (word.strip() for word in words):
        plain = word.lower()
        if re.match(r"other\b", plain):
            found.setdefault("other", "Other")
        elif plain in _OWN_WORDS or ("other" not in found and plain not in ("", "no agreement")):
            found.setdefault(class_noun(word), word)
    return found


def check_there(folder: Path, source: str) -> None:
    """Raises a CorpusError when labels come from ratings, and there are none."""
    if not any((folder / f"labels_detailed.{suffix}").is_file() for suffix in ("csv", "json")):
        raise CorpusError(
            f"{folder} holds neither labels_detailed.csv nor labels_detailed.json, and '{source}' labels are counted"
            " from them. Copy one there, or take --labels consensus."
        )
