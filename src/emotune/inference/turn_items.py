"""Turns of a diarisation as items of their own: a row for each turn, with its speaker."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Iterable, Iterator
from pathlib import Path

from emotune import audio
from emotune.corpora.tables.clip_ids import segment_name
from emotune.errors import AudioError, TableError
from emotune.inference.items import Item
from emotune.timelines.diarisation import read_rttm, turns_of

_LONGEST_S = 20.0
"""A longer turn is parted evenly, since models take no sound of any length."""


def items_of_turns(items: Iterable[Item], rttm: Path) -> Iterator[Item]:
    """Yields the turns of recordings by time, with ``start_s``, ``end_s`` and ``speaker`` among their columns.

    A name in a diarisation is one of its recording: in another recording it is another person's.

    Args:
        items: recordings; a segment or a broken row becomes one with its error.
        rttm: the diarisation; a recording without turns in it becomes a row with its error, and so does a turn that
            ends behind its recording.

    Raises:
        TableError: for what is no RTTM.
    """
    diarisation = read_rttm(rttm)
    for item in items:
        try:
            if item.error is not None:
                raise TableError(item.error)
            if item.start_s is not None or item.end_s is not None:
                raise TableError(f"{item.utterance_id} is a segment already: a diarisation goes with whole recordings.")
            turns = turns_of(diarisation, item.utterance_id, rttm)
            placed = sorted((start_s, end_s, name) for name, own in turns.items() for start_s, end_s in own)
            total_s = audio.duration_s(item.source) if any(map(_is_long, placed)) else math.inf
        except (AudioError, TableError) as error:
            columns = {"start_s": None, "end_s": None, "speaker": None}
            yield dataclasses.replace(item, error=str(error), extra={**item.extra, **columns})
            continue
        for start_s, end_s, name in placed:
            error = None
            if end_s > total_s + audio.LENIENCE_S:
                error = (
                    f"{item.utterance_id}: it ends at {total_s:g} s, and a turn of {name} in {rttm} at {end_s:g} s. Is"
                    " it the diarisation of another recording?"
                )
            for from_s, to_s in _parts(start_s, end_s) if error is None else [(start_s, end_s)]:
                yield dataclasses.replace(
                    item,
                    error=error,
                    utterance_id=item.utterance_id + segment_name(from_s, to_s),
                    start_s=from_s,
                    end_s=to_s,
                    speaker=f"{name} of {item.utterance_id}",
                    extra={**item.extra, "start_s": from_s, "end_s": to_s, "speaker": name},
                )


def _is_long(turn: tuple[float, float, str]) -> bool:
    return turn[1] - turn[0] > _LONGEST_S


def _parts(start_s: float, end_s: float) -> Iterator[tuple[float, float]]:
    """Parts of a turn, in whole milliseconds.

    >>> list(_parts(1.0, 3.5)), list(_parts(0.0, 30.0))
    ([(1.0, 3.5)], [(0.0, 15.0), (15.0, 30.0)])
    """
    count = max(1, math.ceil((end_s - start_s) / _LONGEST_S))
    edges = [round(start_s + (end_s - start_s) * at / count, 3) for at in range(count + 1)]
    yield from itertools.pairwise(edges)
