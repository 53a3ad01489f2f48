"""Timelines: what a recording's voices express from moment to moment; their formats, summaries and speaker turns."""

from emotune.timelines.timeline import NO_SPEECH, Timeline, Timelines, TimelineSegment, Track, UnansweredWindow

__all__ = ["NO_SPEECH", "Timeline", "TimelineSegment", "Timelines", "Track", "UnansweredWindow"]
