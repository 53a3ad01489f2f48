"""Sound of a WebM or Matroska stream while it arrives, as browsers record it, by PyAV (extra ``media``)."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from emotune.audio.live.played import Sampled
from emotune.errors import AudioError
from emotune.runtime.extras import needs

_NAME = "The stream"
_READ_AT_ONCE = 4096  # bytes: a few hundred milliseconds of speech


def webm_blocks(read: Callable[[int], bytes]) -> Iterator[Sampled]:
    """Samples of shape (samples, channels) with their rate, packet by packet as their bytes arrive.

    Args:
        read: gives from one to so many bytes, and waits until there are some; none at the end, again and again.

    Raises:
        AudioError: for what is no WebM with sound, or is damaged.
        ConfigError: where PyAV is not installed.
    """
    with needs("media", "Listening to WebM"):
        import av  # noqa: PLC0415 (of an extra)
    try:
        with av.open(_Arriving(read), format="matroska", buffer_size=_READ_AT_ONCE) as container:
            if not container.streams.audio:
                raise AudioError(f"{_NAME} has no sound track. Expected WebM with Opus or Vorbis.")
            resampler = av.AudioResampler(format="flt")  # floats of the same rate and channels
            for frame in container.decode(container.streams.audio[0]):
                for own in resampler.resample(frame):
                    channels = len(own.layout.channels)
                    yield np.asarray(own.to_ndarray(), dtype=np.float32).reshape(-1, channels), own.sample_rate
    except (av.error.FFmpegError, ValueError) as error:
        reason = str(getattr(error, "strerror", None) or error).rstrip(".")
        raise AudioError(
            f"{_NAME} cannot be decoded ({reason}). Expected WebM with Opus, from its beginning."
        ) from error


class _Arriving:
    """File object for PyAV, which cannot seek."""

    def __init__(self, read: Callable[[int], bytes]) -> None:
        self.read = read
