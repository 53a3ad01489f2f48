"""Timelines of recordings of any length: windows over speech, answered together, smoothed to segments."""
