"""Items to predict, made from a Python program's input, each with a unique id."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from emotune import audio
from emotune.audio.channels import EACH, Channels, channel_id
from emotune.audio.decoding.in_memory import is_array, name_of, plain
from emotune.conditions.sources import Known
from emotune.errors import AudioError, ConfigError


@dataclass(frozen=True)
class Item:
    """One thing to predict: a source, or a segment or channel of it, under an id, with the user's own columns.

    ``content_sha256`` is what the recording must be, where a manifest says so; ``error`` says why a row of a table is
    nothing that could be predicted: it becomes an error row among the others. ``known`` is what the model may be given
    beside the sound, see ``emotune.conditions``; ``split``, ``speaker`` and ``corpus`` are those of a row of a
    manifest or table.
    """

    utterance_id: str
    source: audio.Source
    start_s: float | None = None
    end_s: float | None = None
    extra: Mapping[str, Any] = field(default_factory=dict[str, Any])
    content_sha256: str | None = None
    error: str | None = None
    known: Known = field(default_factory=dict[str, str])
    channel: audio.Channel = "mix"
    split: str | None = None
    speaker: str | None = None
    corpus: str | None = None


def holds_several(source: object) -> bool:
    """Tells whether many recordings are given: a list, a sequence such as a column of datasets, or an iterator."""
    if isinstance(source, tuple | str | bytes | bytearray | memoryview) or is_array(source) or hasattr(source, "read"):
        return False
    return isinstance(source, Sequence | Iterator)


def items_given(source: Any, sampling_rate_hz: int | None, channel: Channels) -> Iterator[Item]:
    """Makes items of what a program gives, one by one, with ids that differ; a bad element is one with its error."""
    found = _several(source, sampling_rate_hz) if holds_several(source) else iter([_item(source, 0, sampling_rate_hz)])
    return with_unique_ids(own for item in found for own in of_channels(item, channel))


def item_given(source: Any, sampling_rate_hz: int | None) -> Item:
    """Makes the item of the one recording that a program gives.

    Raises:
        ConfigError: for none or several.
    """
    found = list(islice(items_given(source, sampling_rate_hz, "mix"), 2))
    if len(found) != 1:
        raise ConfigError(
            f"Expected one recording, got a {type(source).__name__} of {'several' if found else 'none'}: give each by"
            " itself."
        )
    return found[0]


def _several(source: Sequence[Any] | Iterator[Any], sampling_rate_hz: int | None) -> Iterator[Item]:
    if isinstance(source, Iterator):
        yield from (_item(element, position, sampling_rate_hz) for position, element in enumerate(source))
        return
    for position in range(len(source)):
        try:
            element = source[position]
        except Exception as error:  # a sequence that decodes its elements when they are asked for
            reason = f"Element {position} of the {type(source).__name__} cannot be had: {error or type(error).__name__}"
            yield Item(_nameless(position), b"", error=reason)
        else:
            yield _item(element, position, sampling_rate_hz)


def _item(source: Any, position: int, sampling_rate_hz: int | None) -> Item:
    """One element; an array together with its rate. Where that is missing, decoding says so."""
    name = name_of(source) or _nameless(position)
    return Item(name, (source, sampling_rate_hz) if is_array(source) and sampling_rate_hz is not None else source)


def _nameless(position: int) -> str:
    return f"clip_{position + 1}"


def of_channels(item: Item, channel: Channels) -> Iterator[Item]:
    """The item, or one for each channel of its recording; its own channel comes before the one that is asked for."""
    if channel == "mix" or item.channel != "mix" or item.error is not None:
        yield item
        return
    if channel != EACH:
        yield dataclasses.replace(item, channel=channel, extra={**item.extra, "channel": channel})
        return
    try:
        named = isinstance(item.source, str | os.PathLike | Mapping)
        source = item.source if named else plain(item.source)  # a stream can be read only once
        count = audio.channel_count(source)
    except AudioError as error:
        yield dataclasses.replace(item, error=str(error), extra={**item.extra, "channel": None})
        return
    for own in range(count):
        name = channel_id(item.utterance_id, own)
        extra = {**item.extra, "channel": own}
        yield dataclasses.replace(item, utterance_id=name, source=source, channel=own, extra=extra)


def with_unique_ids(items: Iterable[Item]) -> Iterator[Item]:
    """The same input named twice gets ``id (2)``, so that every row of a table has its own id."""
    taken: set[int] = set()
    last: dict[int, int] = {}  # number given to a name that came more than once
    for item in items:
        given = id_fingerprint(item.utterance_id)
        name, count = item.utterance_id, last.get(given, 1)
        while id_fingerprint(name) in taken:
            count += 1
            name = f"{item.utterance_id} ({count})"
        taken.add(id_fingerprint(name))
        if count > 1:
            last[given] = count
        yield item if count == 1 else dataclasses.replace(item, utterance_id=name)


def id_fingerprint(utterance_id: str) -> int:
    """Eight bytes that stand for an id where millions are to be told apart: much smaller than the ids."""
    digest = hashlib.blake2b(utterance_id.encode(errors="surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little")
