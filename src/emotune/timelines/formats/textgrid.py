"""TextGrid of Praat, long format: an interval tier for each channel or speaker; where nobody speaks, text is empty."""

from __future__ import annotations

from collections.abc import Sequence

from emotune.timelines.formats.labels import label_of, milliseconds
from emotune.timelines.timeline import Timeline, TimelineSegment, Track

TIER = "emotion"


def textgrid_text(timeline: Timeline) -> str:
    """All tiers; quotation marks in names and labels stand twice."""
    end = max([1, milliseconds(timeline.duration_s), *(milliseconds(one.end_s) for one in timeline.segments)])
    tiers = [_tier(tier_name(track), timeline.of(track), end) for track in timeline.tracks]
    lines = ['File type = "ooTextFile"', 'Object class = "TextGrid"', "", "xmin = 0 ", f"xmax = {_seconds(end)} "]
    lines += ["tiers? <exists> ", f"size = {len(tiers)} ", "item []: "]
    for number, tier in enumerate(tiers, start=1):
        lines += [f"    item [{number}]:", *tier]
    return "\n".join(lines) + "\n"


def tier_name(track: Track) -> str:
    """``emotion``, and whose where there are several voices."""
    return f"{TIER} ({track.name})" if track.name else TIER


def _tier(name: str, segments: Sequence[TimelineSegment], end: int) -> list[str]:
    intervals: list[tuple[int, int, str]] = []
    at = 0
    for one in segments:
        start, stop = milliseconds(one.start_s), milliseconds(one.end_s)
        if start > at:
            intervals.append((at, start, ""))
        intervals.append((start, stop, label_of(one)))
        at = stop
    if at < end:
        intervals.append((at, end, ""))
    lines = ['        class = "IntervalTier" ', f"        name = {_quoted(name)} ", "        xmin = 0 "]
    lines += [f"        xmax = {_seconds(end)} ", f"        intervals: size = {len(intervals)} "]
    for number, (start, stop, text) in enumerate(intervals, start=1):
        lines += [f"        intervals [{number}]:", f"            xmin = {_seconds(start)} "]
        lines += [f"            xmax = {_seconds(stop)} ", f"            text = {_quoted(text)} "]
    return lines


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def _seconds(ms: int) -> str:
    return f"{ms / 1000:.3f}".rstrip("0").rstrip(".")
