"""RTTM, which pyannote and other tools of diarisation read: a line a segment, its answer as the speaker's name.

Fields are separated by spaces, so in names spaces, tabs, new lines and per cent signs stand as in web addresses:
``very%20happy``. A recording is its name without folder and suffix, unless others have the same. The name of a
segment with a speaker is ``speaker/emotion``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from pathlib import PurePath

from emotune.timelines.formats.labels import encoded, label_of, milliseconds, plain_name
from emotune.timelines.timeline import Timelines

_SPACES = " \t\r\n\x0b\x0c\x1c\x1d\x1e\x1f\x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000"
_SPACES += "".join(map(chr, range(0x2000, 0x200B)))


def rttm_text(timelines: Timelines) -> str:
    """Lines ``SPEAKER recording channel start duration <NA> <NA> name confidence <NA>``; channels count from 1."""
    lines: list[str] = []
    uris = _uris({timeline.recording for timeline in timelines})
    for timeline in timelines:
        uri = encoded(uris[timeline.recording], _SPACES)
        for one in sorted(timeline.segments, key=lambda one: (one.start_s, one.track.channel or 0)):
            start, end = milliseconds(one.start_s), milliseconds(one.end_s)
            name = encoded(label_of(one), _SPACES + "/")
            if one.track.speaker is not None:
                name = f"{encoded(one.track.speaker, _SPACES + '/')}/{name}"
            confidence = "<NA>" if one.confidence is None else f"{one.confidence:.4f}"
            channel = (one.track.channel or 0) + 1
            times = f"{_seconds(start)} {_seconds(end - start)}"
            lines.append(f"SPEAKER {uri} {channel} {times} <NA> <NA> {name} {confidence} <NA>\n")
    return "".join(lines)


def _uris(recordings: Collection[str]) -> dict[str, str]:
    """Name of each recording: without folder and suffix, with the suffix, or whole, the first that is its alone."""
    ways = {name: (PurePath(plain_name(name)).name, PurePath(name).name, name) for name in recordings}
    counts = Counter(way for own in ways.values() for way in set(own))
    return {name: next((way for way in own if counts[way] == 1), name) for name, own in ways.items()}


def _seconds(ms: int) -> str:
    return f"{ms // 1000}.{ms % 1000:03d}"
