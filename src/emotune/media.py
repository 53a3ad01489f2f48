"""The sound of videos and of formats that libsndfile does not know, such as mp4 and m4a, by PyAV (extra ``media``)."""

from __future__ import annotations

import importlib
from typing import Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from emotune.errors import AudioError

CONTAINERS = "mov,mp4,m4a,3gp,matroska,webm,aac,asf,amr,avi,mpegts,mpeg,flv,wav,ogg,ac3"
"""What FFmpeg may take the content for. Playlists are not among them: they would make it open other files and pages."""

_TOLERANCE_S = 0.1  # of a stated length: codecs pad their first and last frame
_CURE = "Expected a recording, or a video with sound; convert it, for example with ffmpeg -i input output.wav."


def decode_sound(stream: BinaryIO, name: str, *, end_s: float | None = None) -> tuple[NDArray[np.float32], int]:
    """The first sound track, shape (frames, channels), and its rate; not decoded much further than ``end_s``.

    Raises:
        AudioError: when there is no sound, it is damaged, or PyAV is not installed.
    """
    try:
        av = importlib.import_module("av")
    except ImportError as error:
        raise AudioError(
            f"{name} cannot be decoded by libsndfile. Videos and formats such as m4a need the extra 'media'"
            " (pip install 'emotune[media]'); or convert it, for example with ffmpeg -i input output.wav."
        ) from error
    try:
        with av.open(stream, options={"format_whitelist": CONTAINERS}) as container:
            if not container.streams.audio:
                raise AudioError(f"{name} cannot be decoded (it has no sound track). {_CURE}")
            track = container.streams.audio[0]
            resampler = av.AudioResampler(format="fltp")  # floats of the same rate and channels, channels apart
            blocks: list[NDArray[np.float32]] = []
            rate = frames = 0
            for frame in container.decode(track):
                rate = frame.sample_rate  # the decoder knows it better than the header, which may name half of it
                for block in resampler.resample(frame):
                    blocks.append(block.to_ndarray())
                    frames += block.samples
                if end_s is not None and frames >= end_s * rate:
                    break
            else:
                _check_length(frames, rate, _stated_length_s(container, track), name)
    except (av.error.FFmpegError, ValueError) as error:
        raise AudioError(f"{name} cannot be decoded ({_reason(error)}). {_CURE}") from error
    if not blocks:
        raise AudioError(f"{name} holds no samples.")
    return cast("NDArray[np.float32]", np.ascontiguousarray(np.concatenate(blocks, axis=1).T)), rate


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error).rstrip(".")


def _stated_length_s(container: Any, track: Any) -> float | None:
    """The length that the file itself states; None where FFmpeg could only guess it from the bit rate."""
    if "mp4" in container.format.name:
        return None if track.duration is None else float(track.duration * track.time_base)
    stated = track.metadata.get("DURATION", "")  # Matroska's tag, HH:MM:SS.fraction
    parts = stated.split(":")
    return int(parts[0]) * 3600 + int(parts[1]) * 60 + float(parts[2]) if len(parts) == 3 else None


def _check_length(frames: int, rate: int, stated_s: float | None, name: str) -> None:
    if rate and stated_s is not None and frames / rate < stated_s - _TOLERANCE_S:
        raise AudioError(
            f"{name} is damaged: it ends after {frames / rate:.2f} of {stated_s:.2f} s. Copy or download it again."
        )
