"""Recordings and pipes played as if they were live: never faster than the sound itself."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from emotune.audio.decoding import FloatArray
from emotune.audio.live.inbox import Inbox
from emotune.audio.live.raw_sound import ENCODINGS, RawSound
from emotune.audio.recordings import SAMPLING_RATE_HZ, blocks
from emotune.audio.recordings import Source as Recording
from emotune.errors import AudioError

BLOCK_S = 0.1
Sampled = tuple[FloatArray, int]
"""Samples and their rate in Hz."""


class Played:
    """A source over an iterable of blocks with their rates.

    A block that is there before its time waits for it, so that a file takes as long as it lasts. One that comes late,
    as from a pipe that stalled, is heard at once.

    Args:
        blocks: samples, shape (samples,) or (samples, channels), and their rate; an ``AudioError`` of theirs is passed
            on to who listens.
    """

    def __init__(self, blocks: Iterable[Sampled]) -> None:
        self._blocks = blocks

    @contextmanager
    def into(self, inbox: Inbox) -> Iterator[None]:
        """See ``Source``."""
        left = threading.Event()
        thread = threading.Thread(target=self._play, args=(inbox, left), daemon=True)  # it may wait for a pipe for ever
        thread.start()
        try:
            yield
        finally:
            left.set()

    def _play(self, inbox: Inbox, left: threading.Event) -> None:
        begun, played_s = time.monotonic(), 0.0
        try:
            for samples, rate in self._blocks:
                played_s += len(samples) / rate
                if left.wait(max(0.0, begun + played_s - time.monotonic())):
                    return
                inbox.put(samples, rate)
        except Exception as error:  # whoever listens raises it
            inbox.close(error)
        else:
            inbox.close()


def recorded_blocks(recording: Recording) -> Iterator[Sampled]:
    """Blocks of a recording of any format: the mean of its channels at 16 kHz.

    Raises:
        AudioError: for what is no recording, or is damaged.
    """
    step = round(SAMPLING_RATE_HZ * BLOCK_S)
    with blocks(recording, ["mix"], sampling_rate_hz=SAMPLING_RATE_HZ) as opened:
        for (block,) in opened.blocks:
            for at in range(0, len(block), step):
                yield block[at : at + step], SAMPLING_RATE_HZ


def raw_blocks(place: Path | int, sound: RawSound) -> Iterator[Sampled]:
    """Blocks of samples without a header: of a file or named pipe, or of an open file descriptor such as 0.

    Raises:
        AudioError: for what cannot be read.
    """
    _, width = ENCODINGS[sound.encoding]
    most = max(1, round(sound.sampling_rate_hz * BLOCK_S)) * width * sound.channels
    try:
        descriptor = place if isinstance(place, int) else os.open(place, os.O_RDONLY)
        try:
            while content := os.read(descriptor, most):
                yield sound.decode(content), sound.sampling_rate_hz
        finally:
            if not isinstance(place, int):
                os.close(descriptor)
    except OSError as error:
        name = "standard input" if isinstance(place, int) else str(place)
        raise AudioError(f"{name} cannot be read: {error.strerror}.") from error
