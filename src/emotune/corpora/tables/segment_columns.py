"""Columns of a table that say where a segment begins and ends: their names, their units, and the times in them.

Known are start, begin, onset, end, stop, offset, duration, from and to in the usual spellings, with a unit behind them
(``start_ms``, ``Begin Time - ss.msec``, ``endSample``); without one, numbers are seconds. A table of which only one end
is understood is refused: the other end would silently be that of the recording.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import lru_cache
from pathlib import Path

from emotune import audio
from emotune.errors import AudioError, CorpusError, TableError
from emotune.io.cells import number_or_none

FIELDS = ("start_s", "end_s", "duration_s")
NONE = "none"
"""In place of a column's name: the field is in no column."""

SECONDS, SAMPLES = "seconds", "samples"
_UNITS = {
    SECONDS: "s sec secs second seconds ssmsec ssms hhmmss hhmmssms hhmmssmsec hhmmssfff hms",
    "milliseconds": "ms msec msecs millis millisec millisecs millisecond milliseconds",
    "microseconds": "us usec microsecond microseconds",
    "nanoseconds": "ns nsec nanosecond nanoseconds",
    SAMPLES: "sample samples smp",
}
_UNIT_OF = {word: unit for unit, words in _UNITS.items() for word in words.split()}
_PER_SECOND = {SECONDS: 1, "milliseconds": 10**3, "microseconds": 10**6, "nanoseconds": 10**9}

_ROLES = {
    "start_s": r"(?:t|time)?(?:start|begin|beg|onset)(?:time|timestamp|offset)?|tmin|xmin|t0",
    "end_s": r"(?:t|time)?(?:end|stop|finish)(?:time|timestamp|offset)?|tmax|xmax|t1|until",
    "duration_s": r"t?(?:duration|dur|length|len)|(?:n|nb|num|number)(?=samples?$)",
    "offset": r"(?:time)?offset(?:time)?",  # a beginning beside a duration, an end beside an onset
    "from": "from",  # a beginning, but only beside 'to'
    "to": "to",
}
_NAME = re.compile(
    r"(?P<base>(?:turn|segment|seg|utterance|utt|interval|speech)?"
    rf"(?:{'|'.join(f'(?P<{role}>{words})' for role, words in _ROLES.items())}))"
    rf"(?:in)?(?P<unit>{'|'.join(_UNIT_OF)})?"
)
_ENDS = ("start", "begin", "beg", "onset", "offset", "end", "stop", "finish", "until")
_TIME_WORDS = {*_ENDS, "time", "times", "timestamp", "duration", "dur", "length", "len"}
_CLOCK = re.compile(r"(?:(?:(\d+) days?,? )?(\d+):)?(\d{1,2}):(\d{1,2}(?:[.,]\d+)?)")
_WITH_UNIT = re.compile(rf"(\S*\d)\s*({'|'.join(_UNIT_OF)})")


def segment_columns(header: Sequence[str], chosen: Mapping[str, str], taken: Collection[str] = ()) -> dict[str, str]:
    """The columns of a segment's beginning, end and length, by field: ``start_s``, ``end_s``, ``duration_s``.

    Args:
        header: all columns.
        chosen: field -> column, or ``NONE``, as the user says.
        taken: columns that hold something else.

    Raises:
        CorpusError: when one end is taken and another column looks like a time, or two look like the same end.

    >>> segment_columns(["file", "offset", "duration"], {})
    {'start_s': 'offset', 'duration_s': 'duration'}
    """
    found = {field: chosen[field] for field in FIELDS if chosen.get(field) in header}
    free = [name for name in header if name not in taken and name not in found.values()]
    alike: dict[str, list[str]] = {}
    for name in free:
        if (role := _role(name)) is not None:
            alike.setdefault(role, []).append(name)

    def take(field: str, role: str) -> None:
        if field not in chosen and field not in found and role in alike:
            found[field] = _one_of(alike[role], field)

    take("start_s", "start_s")
    take("end_s", "end_s")
    if "from" in alike and "to" in alike and not found:
        take("start_s", "from")
        take("end_s", "to")
    if "start_s" not in found and "end_s" not in found and ("duration_s" in alike or "duration_s" in found):
        take("start_s", "offset")
    if "onset" in found.get("start_s", "").lower():
        take("end_s", "offset")
    if "start_s" in found and "end_s" not in found:
        take("duration_s", "duration_s")
    _check_both_ends(found, chosen, [name for name in free if name not in found.values()])
    for column in found.values():
        unit_of(column)  # one that counts frames is an error
    return found


def unit_of(column: str) -> str:
    """The unit that a column's name states at its end; seconds where it states none.

    Raises:
        CorpusError: for a column that counts frames.

    >>> unit_of("start_ms"), unit_of("Begin Time - ss.msec"), unit_of("endSample"), unit_of("onset")
    ('milliseconds', 'seconds', 'samples', 'seconds')
    """
    match = _NAME.fullmatch(_compact(column))
    if match is not None:
        return _UNIT_OF.get(match["unit"] or "", SECONDS)
    words = _words(column)
    if words[-1:] in (["frame"], ["frames"]):
        raise CorpusError(f"Column '{column}' counts frames, and their rate is not known. Give it in seconds.")
    endings = ("".join(words[position:]) for position in range(1, len(words)))
    return next((_UNIT_OF[ending] for ending in endings if ending in _UNIT_OF), SECONDS)


def untaken_ends(header: Sequence[str], found: Mapping[str, str]) -> list[str]:
    """Columns that may hold an end of a segment, in a table of which none is taken."""
    if "start_s" in found or "end_s" in found:
        return []
    return [name for name in header if name not in found.values() and {*_ENDS} & {*_words(name)}]


def segment_times(
    row: Mapping[str, object], found: Mapping[str, str], recording: Path, where: str
) -> tuple[float | None, float | None]:
    """Beginning and end of a row's segment in seconds; None where the recording's own is meant.

    Args:
        row: column -> cell; a cell without a value is None.
        found: field -> column, as from ``segment_columns``.
        recording: its sampling rate is looked up for columns in samples.
        where: the words that name table and row.

    Raises:
        TableError: for a cell that is no time.
    """

    def time(field: str) -> float | None:
        if field not in found:
            return None
        cell = f"{where}, {found[field]}"
        return _seconds(row.get(found[field]), unit_of(found[field]), lambda: _rate_hz(recording, cell), cell)

    start_s, end_s, duration_s = map(time, FIELDS)
    if "end_s" in found or duration_s is None:
        return start_s, end_s
    if start_s is None:
        raise TableError(
            f"{where}: {found['duration_s']} is there, and {found['start_s']} is empty; give both or neither."
        )
    return start_s, round(start_s + duration_s, 9)


def _check_both_ends(found: Mapping[str, str], chosen: Mapping[str, str], left: Sequence[str]) -> None:
    if "duration_s" in found and "start_s" not in found:
        raise CorpusError(
            f"Column '{found['duration_s']}' is a segment's length, but no column is taken for its beginning."
            " Name it with --column start_s=<column>."
        )
    if not found:
        offsets = [name for name in left if _role(name) == "offset" and "start_s" not in chosen]
        if offsets:
            raise CorpusError(
                f"Column '{offsets[0]}' may be where a segment begins or where it ends. Say --column"
                f" start_s='{offsets[0]}' or --column end_s='{offsets[0]}'; where it is neither, --column"
                f" start_s={NONE}."
            )
        return
    both = "start_s" in found and len(found) > 1
    missing = "start_s" if "end_s" in found else "end_s"
    if both or missing in chosen or (missing == "end_s" and "duration_s" in chosen):
        return
    times = [name for name in left if _role(name) is not None or _TIME_WORDS & {*_words(name)}]
    if times:
        (field, column), other = next(iter(found.items())), "end" if missing == "end_s" else "beginning"
        also = " (or duration_s)" if missing == "end_s" else ""
        raise CorpusError(
            f"Column '{column}' is taken for {field}, and none for the segment's {other}, but there is"
            f" {', '.join(repr(name) for name in times)}. Name it with --column {missing}{also}=<column>; where the"
            f" segment's {other} is the recording's, say --column {missing}={NONE}."
        )


def _one_of(names: Sequence[str], field: str) -> str:
    """The one column for a field: the one that is called so, else that with the clearest unit among equal names."""
    own = [name for name in names if "_".join(_words(name)) == field]
    bases = {match["base"] for name in names if (match := _NAME.fullmatch(_compact(name)))}
    if own or len(bases) == 1:
        return min(own or names, key=lambda name: _clearness(_NAME.fullmatch(_compact(name))))
    raise CorpusError(
        f"Columns {' and '.join(repr(name) for name in names)} look like the same end of a segment."
        f" Choose one with --column {field}=<column>."
    )


def _clearness(match: re.Match[str] | None) -> int:
    """Rank of a column name by the clarity of its unit; a name without one is last."""
    return list(_UNITS).index(_UNIT_OF[match["unit"]]) if match and match["unit"] else len(_UNITS)


def _role(column: str) -> str | None:
    match = _NAME.fullmatch(_compact(column))
    return None if match is None else next(role for role in _ROLES if match[role] is not None)


def _words(column: str) -> list[str]:
    """The words of a column's name in lower case, however they are joined: ``startTime``, ``Start Time``."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", column)
    return re.sub(r"[\W_]+", " ", spaced).lower().split()


def _compact(column: str) -> str:
    return "".join(_words(column))


def _seconds(value: object, unit: str, rate_hz: Callable[[], int], where: str) -> float | None:
    """A cell as seconds: a number in its column's unit, a number with a unit, a time of day, or a span of time."""
    if isinstance(value, datetime.timedelta):
        return value.total_seconds()
    if isinstance(value, datetime.time):
        return value.hour * 3600 + value.minute * 60 + value.second + value.microsecond / 1e6
    text = value.strip() if isinstance(value, str) else ""
    if (clock := _CLOCK.fullmatch(text)) is not None:
        days, hours, minutes = (int(part or 0) for part in clock.groups()[:3])
        seconds = float(clock[4].replace(",", "."))
        if minutes > 59 or seconds >= 60:
            raise TableError(f"{where}: {text!r} is no time; expected hours:minutes:seconds, minutes below 60.")
        return round(days * 86400 + hours * 3600 + minutes * 60 + seconds, 9)
    if (stated := _WITH_UNIT.fullmatch(text)) is not None:
        value, unit = stated[1], _UNIT_OF[stated[2]]
    try:
        number = number_or_none(value, where)
    except TableError as error:
        raise TableError(f"{error} Known are numbers, hh:mm:ss.fff and pandas' '0 days 00:00:01.5'.") from error
    if number is None:
        return None
    return number / (rate_hz() if unit == SAMPLES else _PER_SECOND[unit])


def _rate_hz(recording: Path, where: str) -> int:
    """The sampling rate in a recording's header."""
    try:
        return _header_rate_hz(recording)
    except AudioError as error:
        reason = "cannot be read for it" if recording.exists() else "does not exist"
        raise TableError(
            f"{where}: samples need the recording's rate, and {recording} {reason}. Give seconds."
        ) from error


@lru_cache(maxsize=1024)
def _header_rate_hz(recording: Path) -> int:
    return audio.sampling_rate_hz(recording)
