"""Sound while it is made: microphones, pipes of raw samples, and recordings played as if they were live."""

from emotune.audio.live.inbox import Block, Inbox, Source
from emotune.audio.live.media_blocks import webm_blocks
from emotune.audio.live.microphone import Microphone
from emotune.audio.live.mono import Mono
from emotune.audio.live.played import Played, raw_blocks, recorded_blocks
from emotune.audio.live.raw_sound import ENCODINGS, RawSound

__all__ = [
    "ENCODINGS",
    "Block",
    "Inbox",
    "Microphone",
    "Mono",
    "Played",
    "RawSound",
    "Source",
    "raw_blocks",
    "recorded_blocks",
    "webm_blocks",
]
