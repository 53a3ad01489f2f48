"""Parts of the scored utterances that are scored alone: corpora, genders, ages, languages, durations, speakers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from emotune.evaluation.pairs import Pairs
from emotune.metrics.division import IntArray
from emotune.schema.utterance import GENDERS, Utterance

CORPUS, GENDER, AGE, LANGUAGE = "corpus", "gender", "age", "language"
SPEAKER, DURATION = "speaker", "duration"
UNKNOWN = "unknown"
DURATIONS = ((2.0, "under 2 s"), (4.0, "2 to 4 s"), (8.0, "4 to 8 s"), (float("inf"), "8 s and more"))
"""Upper limits in seconds, which the bin does not hold, and names."""
AGES = ((30.0, "under 30"), (45.0, "30 to 44"), (60.0, "45 to 59"), (float("inf"), "60 and more"))
"""Upper limits in years, which the band does not hold, and names."""


def groups_of(pairs: Pairs) -> Iterator[tuple[str, str, IntArray]]:
    """Groups as (property, name, rows).

    A property that is unknown for every utterance makes no groups; ages make them only where they are known, corpora
    and languages only where there are several.
    """
    yield from _several(CORPUS, [utterance.corpus for utterance in pairs.utterances])
    genders = [utterance.gender or UNKNOWN for utterance in pairs.utterances]
    durations = [duration_bin(utterance) for utterance in pairs.utterances]
    yield from _grouped(GENDER, genders, GENDERS)
    yield from _grouped(AGE, [age_band(utterance) for utterance in pairs.utterances], [name for _, name in AGES])
    yield from _several(LANGUAGE, [utterance.language for utterance in pairs.utterances])
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


def age_band(utterance: Utterance) -> str | None:
    """The band of a speaker's age, or None where it is unknown.

    >>> age_band(Utterance("a", "a.wav", age=30)), age_band(Utterance("a", "a.wav"))
    ('30 to 44', None)
    """
    age = utterance.age
    return None if age is None else next(name for limit, name in AGES if age < limit)


def _several(by: str, names: Sequence[str | None]) -> Iterator[tuple[str, str, IntArray]]:
    known = sorted({name for name in names if name is not None})
    if len(known) > 1:
        yield from _grouped(by, names, known)


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
