"""Utterance ids that are made of a file's name and the segment and channel in it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath

from emotune.audio.channels import channel_id
from emotune.schema.manifest import Skipped
from emotune.schema.utterance import Utterance


def segment_name(start_s: float | None, end_s: float | None, channel: int | None = None) -> str:
    """Suffix of a segment's id: ``#1.5-3``, ``#1.5-end``, ``#1.5-3#ch0``; nothing for a whole file."""
    time = f"#{start_s or 0:.10g}-{'end' if end_s is None else f'{end_s:.10g}'}"
    time = "" if start_s is None and end_s is None else time
    return time if channel is None else channel_id(time, channel)


def clip_id(file: str, start_s: float | None = None, end_s: float | None = None, channel: int | None = None) -> str:
    """The id of an utterance that names none: the file without its suffix, and what tells its clips apart.

    >>> clip_id("deep/a.wav"), clip_id("a.wav", 1.5, 3.0, 0)
    ('deep/a', 'a#1.5-3#ch0')
    """
    return PurePosixPath(file).with_suffix("").as_posix() + segment_name(start_s, end_s, channel)


def suffixes_apart(found: Iterable[Utterance | Skipped]) -> Iterator[Utterance | Skipped]:
    """Files that differ in their suffix alone, told apart by it: ``a`` for a.wav, and ``a.mp3`` for the a.mp3 after it.

    Ids that are not made of files' names stay as they are.
    """
    first: dict[str, str] = {}
    for item in found:
        if isinstance(item, Utterance):
            clip = item.start_s, item.end_s, item.channel
            made = item.utterance_id == clip_id(item.file, *clip)
            if made and first.setdefault(item.utterance_id, item.file) != item.file:
                yield dataclasses.replace(item, utterance_id=item.file + segment_name(*clip))
                continue
        yield item
