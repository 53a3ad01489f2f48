"""Groups of clips that are adapted together: those of a speaker, or of a recording."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from emotune.choices import AdaptedBy
from emotune.errors import ConfigError
from emotune.inference.items import Item
from emotune.registry import unknown_name_message

WAYS: tuple[str, ...] = get_args(AdaptedBy)


def check_way(by: str) -> None:
    """Refuses a way of grouping that there is not.

    Raises:
        ConfigError: naming those that there are.
    """
    if by not in WAYS:
        raise ConfigError(unknown_name_message("way to adapt", by, WAYS))


def group_of(item: Item, by: str) -> str | None:
    """Name of an item's group: ``speaker 03`` or ``recording call.wav#ch0``; ``auto`` prefers the speaker.

    None where the way is by speaker and the speaker is not known. What has an error moves nothing, whoever speaks.
    """
    if by != "recording" and item.speaker is not None:
        return f"speaker {item.speaker}"
    if by == "speaker" and item.error is None:
        return None
    named = isinstance(item.source, str | Path)
    recording = os.fspath(item.source) if isinstance(item.source, str | Path) else item.utterance_id
    return f"recording {recording}" + (f"#ch{item.channel}" if named and item.channel != "mix" else "")


def groups_of(items: Sequence[Item], by: str) -> list[str]:
    """Group of each item.

    Raises:
        ConfigError: for a way that there is not, or by speaker where one is not known or stands for two.
    """
    check_way(by)
    groups = [group_of(item, by) for item in items]
    for item, group in zip(items, groups, strict=True):
        if group is None:
            raise ConfigError(
                f"{item.utterance_id}: no speaker is known, and clips are to be adapted by speaker. Give a manifest or"
                " a table with a column speaker (--column speaker=COLUMN), or adapt by recording or auto."
            )
    corpora: dict[str, str] = {}
    for item in items if by != "recording" else ():
        if item.speaker is not None and item.corpus is not None:
            other = corpora.setdefault(item.speaker, item.corpus)
            if other != item.corpus:
                raise ConfigError(
                    f"speaker '{item.speaker}' stands in two corpora, {other} and {item.corpus}, and may be"
                    " two people. Give each a name of its own, as `emotune corpus join` does, or adapt by recording."
                )
    return [group for group in groups if group is not None]
