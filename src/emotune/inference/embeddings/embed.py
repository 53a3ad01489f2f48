"""Embedding of recordings one by one, in the order in which they are given."""

# pyright: strict
from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotune import audio
from emotune.audio import FloatArray
from emotune.audio.preprocessing import batches_under
from emotune.errors import AudioError
from emotune.inference.embeddings.embedder import Embedder, embedder_of
from emotune.inference.engine import EngineError
from emotune.inference.items import Item, items_given
from emotune.schema.manifest import checked

_POOL = 64
"""Items that are decoded and sorted by length at a time."""


@dataclass(frozen=True)
class Embedded:
    """Vectors of one item, of shape (rows, features): one row a clip or one a frame; or the reason of their absence."""

    utterance_id: str
    vectors: NDArray[np.float32]
    error: str | None = None


_NOTHING = np.zeros((0, 0), dtype=np.float32)


def embed(model: str | Embedder, source: Any, sampling_rate_hz: int | None = None, **options: Any) -> list[Embedded]:
    """Embeds one recording, or many.

    Args:
        model: as ``embedder_of`` has it, or what that gave.
        source: as ``Predictor.predict`` takes it.
        sampling_rate_hz: likewise.
        options: of ``embedder_of``: ``level``, ``layer``, ``device``.

    Raises:
        EmotuneError: for a model or options that cannot be used. A bad recording is an entry with its ``error``.
    """
    embedder = embedder_of(model, **options) if isinstance(model, str) else model
    return list(embedded(embedder, items_given(source, sampling_rate_hz, "mix")))


def embedded(embedder: Embedder, items: Iterable[Item], *, batch_seconds: float = 40.0) -> Iterator[Embedded]:
    """Yields the vectors of items in their order; a batch's size never changes them, beyond rounding.

    Args:
        embedder: that embeds.
        items: to be embedded.
        batch_seconds: longest padded batch in audio-seconds.
    """
    rate = embedder.preprocessing.sampling_rate_hz
    coming = iter(items)
    while pool := list(islice(coming, _POOL)):
        found = dict[int, Embedded]()
        ready: list[tuple[int, FloatArray]] = []
        for position, heard in _heard(pool, embedder):
            if isinstance(heard, AudioError):
                found[position] = Embedded(pool[position].utterance_id, _NOTHING, str(heard))
            else:
                ready.append((position, heard))
        ready.sort(key=lambda clip: len(clip[1]))
        for batch in batches_under(ready, samples_of=lambda clip: len(clip[1]), limit=batch_seconds * rate):
            for (position, _), vectors in zip(batch, _vectors(embedder, [clip for _, clip in batch]), strict=True):
                name = pool[position].utterance_id
                found[position] = (
                    Embedded(name, _NOTHING, f"{name}: {vectors}")
                    if isinstance(vectors, str)
                    else Embedded(name, vectors)
                )
        yield from (found[position] for position in range(len(pool)))


def _heard(pool: Sequence[Item], embedder: Embedder) -> Iterator[tuple[int, FloatArray | AudioError]]:
    """Prepared clips by position, those of one recording that follow each other decoded in one pass."""
    preprocessing = embedder.preprocessing
    for (_, bad), group in groupby(enumerate(pool), key=lambda pair: (_recording(pair[1]), pair[1].error)):
        together = list(group)
        if bad is not None:
            yield from ((position, AudioError(bad)) for position, _ in together)
            continue
        for number, clip in audio.clips(
            together[0][1].source,
            [audio.Segment(item.start_s, item.end_s, item.channel) for _, item in together],
            sampling_rate_hz=preprocessing.sampling_rate_hz,
            max_duration_s=preprocessing.longest_decoded_s,
            with_content=any(item.content_sha256 is not None for _, item in together),
        ):
            position, item = together[number]
            right = checked(clip, item.content_sha256, item.utterance_id)
            try:
                yield position, right if isinstance(right, AudioError) else preprocessing(right.samples)
            except AudioError as error:
                yield position, AudioError(f"{item.utterance_id}: {error}")


def _recording(item: Item) -> str | int:
    """Tells recordings apart: by path, or as the object that was given."""
    return str(item.source) if isinstance(item.source, str | Path) else id(item.source)


def _vectors(embedder: Embedder, clips: Sequence[FloatArray]) -> list[NDArray[np.float32] | str]:
    """Vectors of a batch; one that memory does not suffice for is halved, and a single clip is then the reason."""
    try:
        return list(embedder.embed(clips))
    except EngineError as error:
        reason = str(error)
    if len(clips) == 1:
        return [reason]
    middle = len(clips) // 2
    return _vectors(embedder, clips[:middle]) + _vectors(embedder, clips[middle:])
