"""Samples without a header, as telephones and pipes carry them."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import cast

import soundfile

from emotune.audio.decoding import FloatArray
from emotune.audio.decoding.sound import HIGHEST_RATE_HZ, LOWEST_RATE_HZ
from emotune.choices import SampleEncoding
from emotune.errors import ConfigError

ENCODINGS: dict[SampleEncoding, tuple[str, int]] = {
    "pcm16": ("PCM_16", 2),
    "float32": ("FLOAT", 4),
    "mulaw": ("ULAW", 1),
    "alaw": ("ALAW", 1),
}
"""Encodings of samples: libsndfile's name, and bytes a sample. The lowest byte comes first."""


@dataclass
class RawSound:
    """Decoder of raw samples that come in pieces of any number of bytes.

    Args:
        encoding: of the samples.
        sampling_rate_hz: of the samples.
        channels: that alternate.

    Raises:
        ConfigError: for a rate or channels that no sound has.

    >>> RawSound("pcm16", 8000).decode(bytes([0, 64, 0])).tolist()
    [0.5]
    """

    encoding: SampleEncoding
    sampling_rate_hz: int
    channels: int = 1

    def __post_init__(self) -> None:
        if not LOWEST_RATE_HZ <= self.sampling_rate_hz <= HIGHEST_RATE_HZ:
            raise ConfigError(
                f"A sampling rate of {self.sampling_rate_hz} Hz, expected {LOWEST_RATE_HZ} to {HIGHEST_RATE_HZ}."
            )
        if not 1 <= self.channels <= 32:
            raise ConfigError(f"{self.channels} channels, expected 1 to 32.")
        self._left = b""  # of a sample that is not whole yet

    def decode(self, content: bytes) -> FloatArray:
        """Samples that are whole by now: shape (samples,), or (samples, channels) where there are several."""
        subtype, width = ENCODINGS[self.encoding]
        content = self._left + content
        whole = len(content) // (width * self.channels) * width * self.channels
        self._left = content[whole:]
        samples, _ = soundfile.read(  # pyright: ignore[reportUnknownMemberType]
            io.BytesIO(content[:whole]),
            dtype="float32",
            samplerate=self.sampling_rate_hz,
            channels=self.channels,
            format="RAW",
            subtype=subtype,
            endian="LITTLE",
        )
        return cast(FloatArray, samples)
