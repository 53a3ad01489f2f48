"""WebVTT, captions that browsers and players show: a cue a segment, the voice as its speaker.

A blank line would end a cue, so new lines in labels stand as in web addresses, ``%0A``, as do per cent signs.

Reference:
    W3C, WebVTT: The Web Video Text Tracks Format, 2019.
"""

from __future__ import annotations

from emotune.timelines.formats.labels import encoded, label_of, milliseconds
from emotune.timelines.timeline import Timeline

_NOT_IN_CUES = "\r\n\x85\u2028\u2029\x0b\x0c\x1c\x1d\x1e\x00"


def webvtt_text(timeline: Timeline) -> str:
    """Cues by time; their text is the label, and the confidence behind it."""
    cues = ["WEBVTT\n"]
    for one in sorted(timeline.segments, key=lambda one: (one.start_s, one.end_s)):
        times = f"{_time(milliseconds(one.start_s))} --> {_time(milliseconds(one.end_s))}"
        whose = f"<v {_escaped(one.track.name)}>" if one.track.name else ""
        cues.append(f"\n{times}\n{whose}{_escaped(label_of(one))}\n")
    return "".join(cues)


def _escaped(text: str) -> str:
    text = encoded(text, _NOT_IN_CUES)
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _time(ms: int) -> str:
    seconds, ms = divmod(ms, 1000)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}.{ms:03d}"
