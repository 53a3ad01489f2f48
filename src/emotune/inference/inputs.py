"""Inputs of prediction: recordings, folders, tables, manifests and lists, read one item at a time."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

from emotune import audio
from emotune.audio.channels import EACH, Channels
from emotune.corpora.tables.paths import recording_at
from emotune.errors import ConfigError, TableError, quoted
from emotune.inference.items import Item, of_channels, with_unique_ids
from emotune.io.folders import files_below
from emotune.io.tables import READ_SUFFIXES, metadata_path
from emotune.runtime.listener import Listener

_SUFFIXES_SHOWN = 8


@dataclass(frozen=True)
class Inputs:
    """Files to be predicted.

    Args:
        paths: recordings, folders, tables, manifests, lists.
        columns: for tables, field -> column.
        split: of a manifest or table; all of it when None.
        channel: see ``items_of``.
        speakers: RTTM file of a diarisation: an item for each turn in place of each recording, see ``items_of_turns``.
        piped: a recording that came from standard input; its name is ``-``.

    Raises:
        ConfigError: for a diarisation and the channel ``each``, which both say who speaks.
    """

    paths: Sequence[Path]
    columns: Mapping[str, str] = field(default_factory=dict[str, str])
    split: str | None = None
    channel: Channels = "mix"
    speakers: Path | None = None
    piped: bytes | None = None

    def __post_init__(self) -> None:
        if self.speakers is not None and self.channel == EACH:
            raise ConfigError(
                "--channel each takes each channel for a speaker: leave out --speakers, or name a channel."
            )

    def items(self, passed_over: Counter[str], *, channels_apart: bool = True) -> Iterator[Item]:
        """Yields what is to be predicted, and counts files that are no recordings as ``items_of`` does.

        Args:
            passed_over: counts of these.
            channels_apart: with the channel ``each``, an item for every one; else an item for the recording.

        Raises:
            ConfigError: when there is nothing to predict.
            EmotuneError: as ``items_of`` does.
        """
        empty, splits, wanted = True, set[str](), self._splits_wanted()
        channel = self.channel if channels_apart else "mix"
        found: Iterator[Item] = chain(self._piped(channel), self._of_paths(channel, passed_over))
        if self.speakers is not None:
            from emotune.inference.turn_items import items_of_turns  # noqa: PLC0415 (most inputs have no diarisation)

            found = with_unique_ids(items_of_turns(found, self.speakers))
        for item in found:
            splits.add(item.split or "(none)")
            if wanted is None or item.split in wanted:
                empty = False
                yield item
        if empty:
            there = ", ".join(sorted(splits - {"(none)"})) or "no split"
            of = "" if self.split is None else f" of split {self.split}; there is: {there}"
            others = f" ({passed_over_text(passed_over)})" if passed_over else ""
            raise ConfigError(f"There is no recording in {', '.join(map(str, self.paths))}{of}{others}.")

    def listed(self, listener: Listener, *, channels_apart: bool = True) -> list[Item]:
        """All items; says what lies in folders and is no recording.

        Raises:
            EmotuneError: as ``items`` does.
        """
        passed_over = Counter[str]()
        items = list(self.items(passed_over, channels_apart=channels_apart))
        say_passed_over(passed_over, listener)
        return items

    def _of_paths(self, channel: Channels, passed_over: Counter[str]) -> Iterator[Item]:
        return items_of(self.paths, columns=self.columns, channel=channel, passed_over=passed_over)

    def _piped(self, channel: Channels) -> Iterator[Item]:
        if self.piped is not None:
            yield from of_channels(Item("-", self.piped, extra={"file": "-"}), channel)

    def _splits_wanted(self) -> tuple[str | None, ...] | None:
        if self.split is None:
            return None
        from emotune.corpora.base import split_name  # noqa: PLC0415 (recordings need no corpus)

        return self.split, split_name(self.split)

    def say_columns(self, listener: Listener) -> None:
        """Says which columns of tables are taken.

        Raises:
            EmotuneError: as ``columns_taken`` does.
        """
        for path, taken, notes in columns_taken(self.paths, self.columns):
            from emotune.corpora.tables.columns import columns_text  # noqa: PLC0415 (as above)

            listener.say(f"{path}: columns taken: {columns_text(taken)}")
            for note in notes:
                listener.say(f"warning: {path}: {note}")


def items_of(
    paths: Iterable[Path],
    *,
    columns: Mapping[str, str] | None = None,
    channel: Channels = "mix",
    passed_over: Counter[str] | None = None,
) -> Iterator[Item]:
    """Yields the items that paths stand for, with unique ids, in an order that depends on names alone.

    Recordings of a single folder are named relative to it, those of several paths as these were given. With ``channel``
    ``each`` every channel is an item; what a row of a table says of its channel comes before.

    Args:
        paths: recordings, folders, tables, manifests, lists.
        columns: for tables, field -> column, as for ``emotune.corpora.readers.table.read``.
        passed_over: counts by suffix what lies in folders and is no recording by its name; begins anew each time.

    Raises:
        TableError: for a table, list or folder that cannot be read. A missing recording is an error row, later.
        CorpusError: for a table whose columns cannot be understood.
    """
    given = list(paths)
    others = Counter[str]() if passed_over is None else passed_over
    others.clear()
    found = (item for path in given for item in _items_of(path, columns or {}, others, alone=len(given) == 1))
    yield from with_unique_ids(own for item in found for own in of_channels(item, channel))


def say_passed_over(passed_over: Mapping[str, int], listener: Listener) -> None:
    """Says what lies in folders and is no recording."""
    if passed_over:
        listener.say(passed_over_text(passed_over))


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


def columns_taken(
    paths: Iterable[Path], columns: Mapping[str, str]
) -> Iterator[tuple[Path, dict[str, str], list[str]]]:
    """The tables among the paths, each with the column of each field, and what the user should know of these.

    Raises:
        CorpusError: for a table whose columns cannot be understood.
        ConfigError: for chosen columns, where there is no table.
    """
    tables = [path for path in paths if _is_table(path)]
    if columns and not tables:
        raise ConfigError("--column describes the columns of a table, and there is none among the inputs.")
    if tables:
        from emotune.inference.table_items import columns_of  # noqa: PLC0415 (a recording needs nothing of it)

        yield from ((path, *columns_of(path, columns)) for path in tables)


def _is_table(path: Path) -> bool:
    return path.suffix.lower() in READ_SUFFIXES and not path.is_dir() and not metadata_path(path).exists()


def _items_of(path: Path, columns: Mapping[str, str], passed_over: Counter[str], *, alone: bool) -> Iterator[Item]:
    if path.is_dir() and path.suffix.lower() not in audio.SUFFIXES:
        names = ((name, name if alone else str(path / name)) for name in _recordings_in(path, passed_over))
        return (Item(shown, path / name, extra={"file": shown}) for name, shown in names)
    if not path.suffix and not os.path.lexists(path):
        raise TableError(f"{path} does not exist: expected a recording, a folder, a table or a .txt list.")
    if path.suffix.lower() in READ_SUFFIXES:
        from emotune.inference.table_items import items_of_manifest, items_of_table  # noqa: PLC0415 (as above)

        return items_of_table(path, columns) if _is_table(path) else items_of_manifest(path)
    if path.suffix.lower() == ".txt":
        return _of_list(path)
    return iter([Item(str(path), path, extra={"file": str(path)})])


def _recordings_in(folder: Path, passed_over: Counter[str]) -> Iterator[str]:
    """Names of recordings below a folder, relative to it, folder by folder in alphabetical order."""
    for path in files_below(folder, whole=audio.SUFFIXES):  # a folder named like a recording is an error row
        if path.name.startswith("."):
            continue
        if path.suffix.lower() in audio.SUFFIXES:
            yield path.relative_to(folder).as_posix()
        else:
            passed_over[path.suffix.lower()] += 1


def _of_list(path: Path) -> Iterator[Item]:
    _check_is_list(path)
    for line in _lines(path):
        yield Item(line, recording_at(line, path.parent), extra={"file": line})


def _check_is_list(path: Path) -> None:
    """Refuses a text none of whose lines is the path of a file: a report, say, or a list that starts elsewhere."""
    count, first = 0, ""
    for count, line in enumerate(_lines(path), start=1):  # noqa: B007
        if os.path.lexists(recording_at(line, path.parent)):
            return
        first = first or line
    if count:
        raise TableError(
            f"{path} is no list of recordings: a .txt holds one path a line, from its own folder on, and none of its"
            f" {count} lines is the path of a file; the first is {quoted(first)}."
        )


def _lines(path: Path) -> Iterator[str]:
    """Lines of a text that are not empty."""
    try:
        with path.open(encoding="utf-8-sig") as lines:
            yield from filter(None, map(str.strip, lines))
    except (OSError, UnicodeDecodeError) as error:
        raise TableError(f"{path} cannot be read as a list of paths: {error}.") from error
