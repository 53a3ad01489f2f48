"""Parts of the scored utterances that are scored by themselves: genders, speakers, durations."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from emotune.evaluation.pairs import Pairs
from emotune.manifest import GENDERS, Utterance
from emotune.metrics.division import IntArray

GENDER, SPEAKER, DURATION = "gender", "speaker", "duration"
UNKNOWN = "unknown"
DURATIONS = ((2.0, "under 2 s"), (4.0, "2 to 4 s"), (8.0, "4 to 8 s"), (float("inf"), "8 s and more"))
"""Upper limits in seconds, which the bin does not hold, and names."""


def groups_of(pairs: Pairs) -> Iterator[tuple[str, str, IntArray]]:
    """By what, the group's name and its rows. A property that is unknown for every utterance makes no groups."""
    genders = [utterance.gender or UNKNOWN for utterance in pairs.utterances]
    durations = [duration_bin(utterance) for utterance in pairs.utterances]
    yield from _grouped(GENDER, genders, GENDERS)
    yield from _grouped(DURATION, durations, (*(name for _, name in DURATIONS), UNKNOWN))
    yield from _grouped(SPEAKER, list(pairs.speakers), sorted({s for s in pairs.speakers if s is not None}))


def duration_bin(utterance: Utterance) -> str:
    """The bin of an utterance's duration, or ``unknown``.

    >>> duration_bin(Utterance("a", "a.wav", duration_s=2.0))
    '2 to 4 s'
    """
    duration = utterance.duration_s
    if duration is None and utterance.end_s is not None:
        duration = utterance.end_s - (utterance.start_s or 0.0)
    if duration is None:
        return UNKNOWN
    return next(name for limit, name in DURATIONS if duration < limit)


def _grouped(by: str, names: Sequence[str | None], order: Sequence[str]) -> Iterator[tuple[str, str, IntArray]]:
    rows: dict[str, list[int]] = {}
    for row, name in enumerate(names):
        if name is not None:
            rows.setdefault(name, []).append(row)
    if by != SPEAKER and set(rows) == {UNKNOWN}:
        return
    for name in order:
        if name in rows:
            yield by, name, np.array(rows[name], dtype=np.int64)
