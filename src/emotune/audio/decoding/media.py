"""The sound of videos and of formats that libsndfile does not know, such as mp4 and m4a, by PyAV (extra ``media``)."""

from __future__ import annotations

import importlib
import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

import numpy as np

from emotune.audio.decoding.sound import BLOCK_SAMPLES, FloatArray, Sound
from emotune.errors import AudioError

CONTAINERS = "mov,mp4,m4a,3gp,matroska,webm,aac,asf,amr,avi,mpegts,mpeg,flv,wav,ogg,ac3,eac3,flac,wv,tta,voc,mp3"
"""What FFmpeg may take the content for. Playlists are not among them: they would make it open other files and pages."""

SUFFIXES = (".m4a", ".m4b", ".aac", ".mp4", ".m4v", ".mov", ".3gp", ".3g2", ".webm", ".weba", ".mkv", ".mka", ".wma")
SUFFIXES += (".wmv", ".avi", ".flv", ".mpg", ".mpeg", ".amr", ".awb", ".ac3", ".eac3", ".spx", ".wv", ".tta")
_TOLERANCE_S = 0.1  # of a stated length: codecs pad their first and last frame
_CURE = "Expected a recording, or a video with sound; convert it, for example with ffmpeg -i input output.wav."


@contextmanager
def opened(stream: BinaryIO, name: str) -> Iterator[Sound]:
    """The first sound track as a sound.

    Raises:
        AudioError: when there is no sound, it is damaged, or PyAV is not installed.
    """
    try:
        av = importlib.import_module("av")
    except ImportError as error:
        raise AudioError(
            f"{name} is no recording that libsndfile can read. If it is a video, or of a format such as m4a, that needs"
            " the extra 'media' (pip install 'emotune[media]'); or convert it, as with ffmpeg -i input output.wav."
        ) from error
    try:
        with av.open(stream, options={"format_whitelist": CONTAINERS}) as container:
            if not container.streams.audio:
                raise AudioError(f"{name} cannot be decoded (it has no sound track). {_CURE}")
            track = container.streams.audio[0]
            resampler = av.AudioResampler(format="fltp")  # floats of the same rate and channels, channels apart
            frames = container.decode(track)
            first = next(frames, None)
            if first is None:
                raise AudioError(f"{name} holds no samples.")
            rate = first.sample_rate  # the decoder knows it better than the header, which may name half of it
            decoded = (block for frame in itertools.chain([first], frames) for block in resampler.resample(frame))
            stated_s = _stated_length_s(container, track)
            likely_s = stated_s or (container.duration or 0) / av.time_base

            def blocks_from(start: int) -> Iterator[FloatArray]:
                assert start == 0, "media are read from their beginning"
                at = 0
                for block in _joined(decoded):
                    at += len(block)
                    yield block
                _check_length(at, rate, stated_s, name)

            yield Sound(name, rate, len(first.layout.channels), None, int(likely_s * rate), False, blocks_from)
    except (av.error.FFmpegError, ValueError) as error:
        raise AudioError(f"{name} cannot be decoded ({_reason(error)}). {_CURE}") from error


def _joined(decoded: Iterator[Any]) -> Iterator[FloatArray]:
    """A codec's small frames in larger blocks, each of shape (frames, channels)."""
    blocks: list[FloatArray] = []
    size = 0
    for frame in decoded:
        blocks.append(frame.to_ndarray())
        size += blocks[-1].size
        if size >= BLOCK_SAMPLES:
            yield np.ascontiguousarray(np.concatenate(blocks, axis=1).T)
            blocks, size = [], 0
    if blocks:
        yield np.ascontiguousarray(np.concatenate(blocks, axis=1).T)


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
