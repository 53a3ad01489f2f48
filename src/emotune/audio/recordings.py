"""Recordings in, of any format, rate and channel count: as they are stored, or as a model hears them."""

from __future__ import annotations

import hashlib
import io
import math
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
import soxr
from numpy.typing import NDArray

from emotune.audio.decoding import FloatArray, Sound, SoundSource, opened_array, opened_file
from emotune.audio.decoding.blocks import Blocks, blocks_of
from emotune.audio.decoding.clips import Clip, check_samples, clips_of, content_head
from emotune.audio.decoding.files import SUFFIXES as _FILE_SUFFIXES
from emotune.audio.decoding.in_memory import name_of, plain
from emotune.audio.decoding.media import SUFFIXES as _MEDIA_SUFFIXES
from emotune.audio.decoding.segments import Channel, Cut, Segment
from emotune.errors import AudioError

SAMPLING_RATE_HZ = 16000
"""Rate of what encoders hear."""
SUFFIXES = (*_FILE_SUFFIXES, *_MEDIA_SUFFIXES)
"""Names of recordings, where a folder is searched for them; a file that is named by its path is judged by content."""

Source = str | Path | bytes | BinaryIO | SoundSource | tuple[NDArray[Any], int] | Mapping[str, Any]
"""A path, encoded bytes, a binary file object, (samples, sampling_rate_hz), or {"array": ..., "sampling_rate": ...}.

``audio.decoding.in_memory`` knows more that Python programs hold, such as the decoders of Hugging Face datasets.
"""


@dataclass(frozen=True)
class Recording:
    """Recording as it is stored, samples of shape (frames, channels), in [-1, 1] for integer formats."""

    samples: FloatArray
    sampling_rate_hz: int

    @property
    def duration_s(self) -> float:
        """Duration in seconds."""
        return len(self.samples) / self.sampling_rate_hz

    @property
    def channels(self) -> int:
        """Number of channels."""
        return self.samples.shape[1]

    @property
    def peak(self) -> float:
        """The largest magnitude in any channel; far above that of the mean where channels cancel each other."""
        return float(np.abs(self.samples).max())

    def content_sha256(self) -> str:
        """A fingerprint of what is heard: equal for a renamed or losslessly re-encoded copy."""
        head = content_head(self.sampling_rate_hz, self.channels)
        return hashlib.sha256(head + np.ascontiguousarray(self.samples, dtype="<f4").tobytes()).hexdigest()

    def mono(self, sampling_rate_hz: int = SAMPLING_RATE_HZ) -> FloatArray:
        """The mean of the channels at the wanted rate, shape (samples,)."""
        mixed = self.samples[:, 0] if self.channels == 1 else self.samples.mean(axis=1)
        if self.sampling_rate_hz == sampling_rate_hz:
            return mixed
        return cast(FloatArray, soxr.resample(mixed, self.sampling_rate_hz, sampling_rate_hz, quality="HQ"))


def decode(
    source: Source, *, start_s: float | None = None, end_s: float | None = None, channel: Channel = "mix"
) -> Recording:
    """Decodes a recording, or the segment from ``start_s`` to ``end_s`` of it, as it is stored: all of it in memory.

    With a number as ``channel`` the recording has that channel alone, and its fingerprint is that of a mono file.

    Raises:
        AudioError: for anything that is not a usable recording, with the cause and the cure.
    """
    with _opened(source) as sound:
        cut = Cut(sound, Segment(start_s, end_s, channel))
        at = cut.start if sound.seeks else 0
        blocks = [np.zeros((0, sound.channels if channel == "mix" else 1), dtype=np.float32)]
        for block in sound.blocks_from(at):
            blocks.append(cut.of_block(block, at))
            at += len(block)
            if cut.is_complete(at):
                break
        cut.check_ends(at)
        recording = Recording(np.concatenate(blocks), sound.sampling_rate_hz)
        check_samples(len(recording.samples), recording.peak if len(recording.samples) else 0.0, sound.name)
    return recording


def clip(
    source: Source,
    *,
    start_s: float | None = None,
    end_s: float | None = None,
    channel: Channel = "mix",
    sampling_rate_hz: int = SAMPLING_RATE_HZ,
    max_duration_s: float = math.inf,
    with_content: bool = False,
) -> Clip:
    """Decodes a recording, or a part of it, to the mono clip that a model hears, in the memory of that clip alone.

    Args:
        source: the recording.
        start_s, end_s, channel: the wanted part.
        sampling_rate_hz: of the samples.
        max_duration_s: a longer clip is refused by its header, or at the latest when so much of it has been decoded.
        with_content: compute ``content_sha256``, too.

    Raises:
        AudioError: for anything that is not a usable recording, with the cause and the cure.
    """
    ((_, heard),) = clips(
        source,
        [Segment(start_s, end_s, channel)],
        sampling_rate_hz=sampling_rate_hz,
        max_duration_s=max_duration_s,
        with_content=with_content,
    )
    if isinstance(heard, AudioError):
        raise heard
    return heard


def clips(
    source: Source,
    segments: Sequence[Segment],
    *,
    sampling_rate_hz: int = SAMPLING_RATE_HZ,
    max_duration_s: float = math.inf,
    with_content: bool = False,
) -> Iterator[tuple[int, Clip | AudioError]]:
    """Decodes many parts of one recording as ``clip`` does, in one pass over it.

    Yields:
        Each segment's position and its clip, or why it cannot be had, in the order in which they end.
    """
    left = set(range(len(segments)))
    try:
        with _opened(source) as sound:
            for position, heard in clips_of(
                sound,
                segments,
                sampling_rate_hz=sampling_rate_hz,
                max_duration_s=max_duration_s,
                with_content=with_content,
            ):
                left.remove(position)
                yield position, heard
    except AudioError as error:
        yield from ((position, error) for position in sorted(left))


@contextmanager
def blocks(
    source: Source,
    channels: Sequence[Channel] = ("mix",),
    *,
    start_s: float | None = None,
    end_s: float | None = None,
    sampling_rate_hz: int = SAMPLING_RATE_HZ,
) -> Iterator[Blocks]:
    """Opens a recording of any length, or a part of it, to be heard block by block, in the memory of a block.

    Raises:
        AudioError: for anything that is not a usable recording, also while the blocks are read.
    """
    with _opened(source) as sound:
        yield blocks_of(sound, channels, start_s=start_s, end_s=end_s, sampling_rate_hz=sampling_rate_hz)


def channel_count(source: Source) -> int:
    """The number of channels of a recording, from its header.

    Raises:
        AudioError: for what is no recording.
    """
    with _opened(source) as sound:
        return sound.channels


def sampling_rate_hz(source: Source) -> int:
    """The sampling rate of a recording, from its header.

    Raises:
        AudioError: for what is no recording.
    """
    with _opened(source) as sound:
        return sound.sampling_rate_hz


def duration_s(source: Source) -> float:
    """The duration of a recording, from its header where that can be trusted, else from all its samples.

    Raises:
        AudioError: for what is no recording.
    """
    with _opened(source) as sound:
        frames = sum(map(len, sound.blocks_from(0))) if sound.frames is None else sound.frames
        return frames / sound.sampling_rate_hz


@contextmanager
def _opened(source: Source) -> Iterator[Sound]:
    given = plain(source)
    if isinstance(given, Path):
        with _opened_path(given) as sound:
            yield sound
    elif isinstance(given, bytes):
        with _opened_bytes(given, name_of(source) or "the given bytes") as sound:
            yield sound
    elif isinstance(given, SoundSource):
        with given.opened() as sound:
            yield sound
    else:
        yield opened_array(given)


@contextmanager
def _opened_path(path: Path) -> Iterator[Sound]:
    try:
        if path.is_symlink() and not path.exists():
            raise AudioError(f"{path} is a broken link to {path.readlink()}.")
        _check_regular(path)
        with path.open("rb") as stream:
            head = stream.read(64)
            if not head:
                raise AudioError(f"{path} is empty (0 bytes).")
            if head.startswith(b"version https://git-lfs"):
                raise AudioError(f"{path} is a git-LFS pointer, not the recording itself: run `git lfs pull`.")
            stream.seek(0)
            with opened_file(stream, str(path)) as sound:
                yield sound
    except FileNotFoundError as error:
        raise AudioError(f"{path} does not exist.") from error
    except PermissionError as error:
        raise AudioError(f"{path} may not be read: permission denied.") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error  # without the path, which may be longer than a screen
        raise AudioError(f"{path} cannot be read: {reason}.") from error


def _check_regular(path: Path) -> None:
    """Refuses pipes and devices, which may never begin or never end to give bytes."""
    mode = path.stat().st_mode
    if stat.S_ISREG(mode):
        return
    if stat.S_ISDIR(mode):
        raise AudioError(f"{path} is a folder, expected a recording.")
    kind = "a named pipe" if stat.S_ISFIFO(mode) else "a socket" if stat.S_ISSOCK(mode) else "a device"
    raise AudioError(f"{path} is {kind}, expected a regular file: write the sound into one first.")


@contextmanager
def _opened_bytes(content: bytes, name: str) -> Iterator[Sound]:
    if not content:
        raise AudioError(f"{name}: empty (0 bytes). A stream that was read or written before needs seek(0).")
    with opened_file(io.BytesIO(content), name) as sound:
        yield sound


def trim_silence(samples: FloatArray, *, threshold_db: float, sampling_rate_hz: int = SAMPLING_RATE_HZ) -> FloatArray:
    """Cuts the silence before and after speech, shape (samples,) -> (fewer samples,).

    Frames of 25 ms every 10 ms count as silent when their level lies more than ``threshold_db`` under the loudest
    frame. At least one frame stays; a clip of zeros stays as it is.

    >>> clip = np.concatenate([np.zeros(8000), np.ones(8000), np.zeros(8000)]).astype(np.float32)
    >>> len(trim_silence(clip, threshold_db=40.0))
    8560
    """
    return samples[sounding(samples, threshold_db=threshold_db, sampling_rate_hz=sampling_rate_hz)]


def sounding(samples: FloatArray, *, threshold_db: float, sampling_rate_hz: int = SAMPLING_RATE_HZ) -> slice:
    """Part of a clip, shape (samples,), that ``trim_silence`` leaves."""
    length, hop = sampling_rate_hz // 40, sampling_rate_hz // 100
    if len(samples) <= length:
        return slice(0, len(samples))
    power = np.concatenate([[0.0], np.cumsum(samples.astype(np.float64) ** 2)])
    starts = np.arange(0, len(samples) - length + 1, hop)
    energy = power[starts + length] - power[starts]
    if energy.max() <= 0:
        return slice(0, len(samples))
    loud = np.flatnonzero(energy >= energy.max() * 10 ** (-threshold_db / 10))
    first, last = starts[loud[0]], starts[loud[-1]] + length
    return slice(int(first), len(samples) if loud[-1] == len(starts) - 1 else int(last))
