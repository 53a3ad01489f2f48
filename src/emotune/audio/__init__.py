"""Sound: recordings decoded as stored or as a model hears them, their acoustics, and their copies."""

from emotune.audio.decoding import FloatArray
from emotune.audio.decoding.clips import FULL_SCALE, Clip
from emotune.audio.decoding.segments import LENIENCE_S, Channel, Segment, too_long
from emotune.audio.recordings import (
    SAMPLING_RATE_HZ,
    SUFFIXES,
    Recording,
    Source,
    blocks,
    channel_count,
    clip,
    clips,
    decode,
    duration_s,
    sampling_rate_hz,
    trim_silence,
)

__all__ = [
    "FULL_SCALE",
    "LENIENCE_S",
    "SAMPLING_RATE_HZ",
    "SUFFIXES",
    "Channel",
    "Clip",
    "FloatArray",
    "Recording",
    "Segment",
    "Source",
    "blocks",
    "channel_count",
    "clip",
    "clips",
    "decode",
    "duration_s",
    "sampling_rate_hz",
    "too_long",
    "trim_silence",
]
