"""Transmission channels between speaker and recording: the telephone's band, and codecs that lose something."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import scipy  # its parts are loaded when they are used
import soundfile
import soxr

from emotune.audio import SAMPLING_RATE_HZ, FloatArray
from emotune.data.augmentations.step import Step

TELEPHONE_HZ = (300.0, 3400.0)
_TELEPHONE_RATE_HZ = 8000
_LAME_DELAY = 1105  # samples that an MP3 encoder of low rates puts before the first, where its file does not say so


@dataclass(frozen=True)
class Codec:
    """Format of a codec in libsndfile; ``compression`` is the range of its compression level, 1 the smallest file."""

    container: str
    subtype: str
    sampling_rate_hz: int = SAMPLING_RATE_HZ
    compression: tuple[float, float] | None = None


CODECS = {
    "alaw": Codec("WAV", "ALAW", _TELEPHONE_RATE_HZ),
    "gsm": Codec("WAV", "GSM610", _TELEPHONE_RATE_HZ),
    "mp3": Codec("MP3", "MPEG_LAYER_III", compression=(0.8, 0.99)),
    "mulaw": Codec("WAV", "ULAW", _TELEPHONE_RATE_HZ),
    "opus": Codec("OGG", "OPUS", compression=(0.9, 0.99)),
}
"""alaw and mulaw have 64 kbit/s, gsm 13; mp3 about 45 to 9 and opus about 34 to 15, by a random compression level."""


class Telephone(Step):
    """Only 300 to 3400 Hz are left: a Butterworth filter of fourth order, run forward and backward."""

    def __init__(self) -> None:
        self._filter = scipy.signal.butter(4, TELEPHONE_HZ, btype="bandpass", fs=SAMPLING_RATE_HZ, output="sos")

    def __call__(self, samples: FloatArray, generator: np.random.Generator) -> FloatArray:
        padding = min(len(samples) - 1, 512)
        return scipy.signal.sosfiltfilt(self._filter, samples.astype(np.float64), padlen=padding).astype(np.float32)


class Compression(Step):
    """Encoded and decoded again by a random one of the named codecs, with a random quality where it has one."""

    def __init__(self, codecs: Sequence[str]) -> None:
        self.codecs = [CODECS[name] for name in codecs]

    def __call__(self, samples: FloatArray, generator: np.random.Generator) -> FloatArray:
        codec = self.codecs[int(generator.integers(len(self.codecs)))]
        level = None if codec.compression is None else float(generator.uniform(*codec.compression))
        return coded(samples, codec, level)


def coded(samples: FloatArray, codec: Codec, level: float | None = None) -> FloatArray:
    """Clip after a codec, shape (samples,) kept and not delayed; ``level`` as libsndfile's compression."""
    rate = codec.sampling_rate_hz
    given = _resampled(samples, SAMPLING_RATE_HZ, rate)
    stream = io.BytesIO()
    quality = {} if level is None else {"compression_level": level, "bitrate_mode": "CONSTANT"}
    quality = quality if codec.container == "MP3" else {name: quality[name] for name in list(quality)[:1]}
    with soundfile.SoundFile(stream, "w", rate, 1, format=codec.container, subtype=codec.subtype, **quality) as sound:
        sound.write(given)
    stream.seek(0)
    heard = cast(FloatArray, soundfile.read(stream, dtype="float32")[0])
    if codec.container == "MP3" and len(heard) > len(given):
        heard = heard[_LAME_DELAY:]
    return _of_length(_resampled(heard, rate, SAMPLING_RATE_HZ), len(samples))


def _resampled(samples: FloatArray, from_hz: int, to_hz: int) -> FloatArray:
    return samples if from_hz == to_hz else cast(FloatArray, soxr.resample(samples, from_hz, to_hz, quality="HQ"))


def _of_length(samples: FloatArray, length: int) -> FloatArray:
    return np.pad(samples, (0, max(0, length - len(samples))))[:length].astype(np.float32, copy=False)
