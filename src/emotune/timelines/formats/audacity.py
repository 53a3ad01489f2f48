"""Label track of Audacity: start, end and label of a segment, separated by tabs.

Tabs, new lines and per cent signs in labels stand as in web addresses: ``%09``, ``%0A``, ``%25``. Where there are
several voices, ``whose: `` stands before the label.
"""

from __future__ import annotations

from emotune.timelines.formats.labels import encoded, label_of
from emotune.timelines.timeline import Timeline

_NOT_IN_LABELS = "\t\r\n\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"


def audacity_text(timeline: Timeline) -> str:
    """A line a segment, by time."""
    lines = []
    for one in sorted(timeline.segments, key=lambda one: (one.start_s, one.end_s)):
        whose = f"{one.track.name}: " if one.track.name else ""
        lines.append(f"{one.start_s:.3f}\t{one.end_s:.3f}\t{encoded(whose + label_of(one), _NOT_IN_LABELS)}\n")
    return "".join(lines)
