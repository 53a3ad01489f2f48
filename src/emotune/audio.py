"""Recordings in: anything libsndfile reads, any rate and channel count, to mono float32 at the wanted rate.

What libsndfile does not know, such as the sound of an mp4, is left to ``emotune.media``.
"""

from __future__ import annotations

import hashlib
import io
import math
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal, cast

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from emotune.errors import AudioError
from emotune.in_memory import name_of, plain
from emotune.media import decode_sound

SAMPLING_RATE_HZ = 16000
SUFFIXES = (".wav", ".flac", ".ogg", ".opus", ".mp3", ".aiff", ".aif", ".au", ".w64", ".caf", ".sph")
MEDIA_SUFFIXES = (*SUFFIXES, ".m4a", ".aac", ".mp4", ".webm", ".wma", ".amr", ".mkv", ".mov")
LOWEST_RATE_HZ, HIGHEST_RATE_HZ = 1000, 768000
HIGHEST_PEAK = 100.0  # 40 dB over full scale: no recording, but integers given as floats
_BLOCK = 1 << 20  # frames
_NOT_ITS_FORMAT = (1, 4)  # libsndfile's codes for content, and for a codec in a WAV, that it does not know
_UNKNOWN_LENGTH = 1 << 62  # libsndfile's way to say that a stream names no length

FloatArray = NDArray[np.float32]
Source = str | Path | bytes | BinaryIO | tuple[NDArray[Any], int] | Mapping[str, Any]
"""A path, encoded bytes, a binary file object, (samples, sampling_rate_hz), or {"array": ..., "sampling_rate": ...}.

``emotune.in_memory`` knows more that Python programs hold, such as the decoders of Hugging Face datasets.
"""

Channel = Literal["mix"] | int
"""``mix`` = the mean of all channels; a number = that channel alone, counted from 0."""


@dataclass(frozen=True)
class Recording:
    """Decoded samples as they are stored: shape (frames, channels), in [-1, 1] for integer formats."""

    samples: FloatArray
    sampling_rate_hz: int

    @property
    def duration_s(self) -> float:
        return len(self.samples) / self.sampling_rate_hz

    @property
    def channels(self) -> int:
        return self.samples.shape[1]

    @property
    def peak(self) -> float:
        """The largest magnitude in any channel; far above that of the mean where channels cancel each other."""
        return float(np.abs(self.samples).max())

    def content_sha256(self) -> str:
        """A fingerprint of what is heard: equal for a renamed or losslessly re-encoded copy."""
        head = f"{self.sampling_rate_hz} {self.samples.shape[1]}\n".encode()
        return hashlib.sha256(head + np.ascontiguousarray(self.samples, dtype="<f4").tobytes()).hexdigest()

    def mono(self, sampling_rate_hz: int = SAMPLING_RATE_HZ) -> FloatArray:
        """The mean of the channels at the wanted rate, shape (samples,)."""
        mixed = self.samples[:, 0] if self.samples.shape[1] == 1 else self.samples.mean(axis=1)
        if self.sampling_rate_hz == sampling_rate_hz:
            return mixed
        return cast(FloatArray, soxr.resample(mixed, self.sampling_rate_hz, sampling_rate_hz, quality="HQ"))


def decode(
    source: Source, *, start_s: float | None = None, end_s: float | None = None, channel: Channel = "mix"
) -> Recording:
    """Decode a recording, or the segment from ``start_s`` to ``end_s`` of it.

    With a number as ``channel`` the recording has that channel alone, and its fingerprint is that of a mono file.

    Raises:
        AudioError: for anything that is not a usable recording, with the cause and the cure.
    """
    given = plain(source)
    if isinstance(given, Path):
        name = name_of(source) or str(given)
        recording = _decode_path(given, start_s, end_s)
    elif isinstance(given, bytes):
        name = name_of(source) or "the given bytes"
        recording = _decode_bytes(given, name, start_s, end_s)
    else:
        name = "the given array"
        recording = _from_array(given, start_s, end_s)
    recording = recording if channel == "mix" else _only(recording, channel, name)
    _check_samples(recording, name)
    return recording


def channel_count(source: Source) -> int:
    """How many channels a recording has; of a file only its header is read.

    Raises:
        AudioError: for what is no recording.
    """
    if isinstance(source, str | Path):
        with suppress(OSError, ValueError, soundfile.LibsndfileError), Path(source).open("rb") as stream:
            return int(soundfile.info(stream).channels)
    return decode(source).channels  # what libsndfile does not know, or is in memory; or the error


def _only(recording: Recording, channel: object, name: str) -> Recording:
    count = recording.channels
    if not isinstance(channel, int) or isinstance(channel, bool) or not 0 <= channel < count:
        known = "channel 0 alone" if count == 1 else f"the channels 0 to {count - 1}"
        raise AudioError(f"{name} has no channel {channel!r}: it has {known}, or 'mix' for their mean.")
    return Recording(recording.samples[:, [channel]], recording.sampling_rate_hz)


def _decode_path(path: Path, start_s: float | None, end_s: float | None) -> Recording:
    try:
        if path.is_symlink() and not path.exists():
            raise AudioError(f"{path} is a broken link to {path.readlink()}.")
        if path.is_dir():
            raise AudioError(f"{path} is a folder, expected a recording.")
        with path.open("rb") as stream:
            head = stream.read(64)
            if not head:
                raise AudioError(f"{path} is empty (0 bytes).")
            if head.startswith(b"version https://git-lfs"):
                raise AudioError(f"{path} is a git-LFS pointer, not the recording itself: run `git lfs pull`.")
            stream.seek(0)
            return _decode_stream(stream, str(path), start_s, end_s)
    except FileNotFoundError as error:
        raise AudioError(f"{path} does not exist.") from error
    except PermissionError as error:
        raise AudioError(f"{path} may not be read: permission denied.") from error
    except (OSError, ValueError) as error:
        raise AudioError(f"{path} cannot be read: {error}.") from error


def _decode_bytes(content: bytes, name: str, start_s: float | None, end_s: float | None) -> Recording:
    if not content:
        raise AudioError(f"{name}: empty (0 bytes). A stream that was read or written before needs seek(0).")
    return _decode_stream(io.BytesIO(content), name, start_s, end_s)


def _decode_stream(stream: BinaryIO, name: str, start_s: float | None, end_s: float | None) -> Recording:
    try:
        with soundfile.SoundFile(stream) as sound:
            rate = sound.samplerate
            _check_rate(rate, name)
            start, stop = _frames(start_s, end_s, rate, name)
            total = sound.frames
            if _is_cut_short(sound):
                raise AudioError(f"{name} is damaged: its header promises more than the file holds. Copy it again.")
            _check_start(start_s, start, total, rate, name)
            if sound.format == "MP3":  # a seek lands near the wanted frame only, and reading in blocks seeks each time
                samples = cast(FloatArray, sound.read(dtype="float32", always_2d=True))[start:stop]
            else:
                sound.seek(start)
                samples = _read(sound, None if stop is None else stop - start)
    except (soundfile.LibsndfileError, RuntimeError, TypeError) as error:
        if getattr(error, "code", None) in _NOT_ITS_FORMAT:
            return _decode_media(stream, name, start_s, end_s)
        reason = str(error).split(": ")[-1].rstrip(".")
        raise AudioError(
            f"{name} cannot be decoded ({reason}). Expected one of {', '.join(SUFFIXES)};"
            " convert it, for example with ffmpeg -i input output.wav."
        ) from error
    promised = total if stop is None else min(stop, total)
    if start + len(samples) < promised and not _length_is_estimated(sound):
        raise AudioError(
            f"{name} is damaged: it ends after {(start + len(samples)) / rate:.2f} of {total / rate:.2f} s."
            " Copy or download it again."
        )
    _check_end(end_s, stop, start + len(samples), rate, name)
    return Recording(samples, rate)


def _decode_media(stream: BinaryIO, name: str, start_s: float | None, end_s: float | None) -> Recording:
    stream.seek(0)
    samples, rate = decode_sound(stream, name, end_s=end_s)
    _check_rate(rate, name)
    start, stop = _frames(start_s, end_s, rate, name)
    _check_start(start_s, start, len(samples), rate, name)
    _check_end(end_s, stop, len(samples), rate, name)
    return Recording(samples[start:stop], rate)


def _is_cut_short(sound: soundfile.SoundFile) -> bool:
    """Whether a WAV's data chunk is larger than its file; 0 and the largest sizes mean that a stream was written."""
    found = re.search(r"data : (0x[0-9A-Fa-f]+|\d+) \(should be (\d+)\)", sound.extra_info)
    if not sound.format.startswith("WAV") or found is None:
        return False
    promised, held = int(found.group(1), 0), int(found.group(2))
    return held < promised < 0x7FFFFF00


def _length_is_estimated(sound: soundfile.SoundFile) -> bool:
    """Whether the length that the decoder names is only a guess, as for MP3 without an index."""
    return sound.format == "MP3" or sound.frames >= _UNKNOWN_LENGTH


def _read(sound: soundfile.SoundFile, frames: int | None) -> FloatArray:
    """So many frames, or all, in blocks: a header that promises 20 hours must not reserve the memory for them."""
    blocks = [np.zeros((0, sound.channels), dtype=np.float32)]
    left = math.inf if frames is None else frames
    while left > 0:
        wanted = int(min(left, _BLOCK))
        block = cast(FloatArray, sound.read(wanted, dtype="float32", always_2d=True))
        blocks.append(block)
        left = left - wanted if len(block) == wanted else 0
    return np.concatenate(blocks)


def _check_start(start_s: float | None, start: int, total: int, rate: int, name: str) -> None:
    if start and start >= total:
        raise AudioError(f"{name}: start_s {start_s} lies behind the end of the recording ({total / rate:.2f} s).")


def _check_end(end_s: float | None, stop: int | None, total: int, rate: int, name: str) -> None:
    if stop is not None and total < stop - rate // 10:
        raise AudioError(f"{name}: end_s {end_s} lies behind the end of the recording ({total / rate:.2f} s).")


def _from_array(source: tuple[NDArray[Any], int], start_s: float | None, end_s: float | None) -> Recording:
    samples, rate = source
    _check_rate(rate, "the given array")
    if samples.dtype.kind in "iu":
        limits = np.iinfo(samples.dtype)
        middle = 0 if samples.dtype.kind == "i" else (limits.max + 1) / 2
        samples = (samples.astype(np.float64) - middle) / ((limits.max + 1) - middle)
    start, stop = _frames(start_s, end_s, rate, "the given array")
    _check_start(start_s, start, len(samples), rate, "the given array")
    _check_end(end_s, stop, len(samples), rate, "the given array")
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, and is refused as such
        columns = samples.astype(np.float32).reshape(len(samples), -1)
    return Recording(columns[start:stop], rate)


def _check_rate(rate: int, name: str) -> None:
    if not LOWEST_RATE_HZ <= rate <= HIGHEST_RATE_HZ:
        raise AudioError(
            f"{name}: a sampling rate of {rate} Hz, expected {LOWEST_RATE_HZ} to {HIGHEST_RATE_HZ}. Check its header."
        )


def _frames(start_s: float | None, end_s: float | None, rate: int, name: str) -> tuple[int, int | None]:
    start = start_s or 0.0
    finite = math.isfinite(start) and (end_s is None or math.isfinite(end_s))
    if not finite or start < 0 or (end_s is not None and end_s <= start):
        raise AudioError(f"{name}: the segment from {start_s} to {end_s} s is not one; expected 0 <= start_s < end_s.")
    return round(start * rate), None if end_s is None else round(end_s * rate)


def _check_samples(recording: Recording, name: str) -> None:
    if not len(recording.samples):
        raise AudioError(f"{name} holds no samples.")
    if not np.isfinite(recording.samples).all():
        raise AudioError(f"{name} holds NaN or infinite samples; export it again.")
    peak = recording.peak
    if peak > HIGHEST_PEAK:
        raise AudioError(
            f"{name} holds samples up to {peak:.4g}, expected floats in [-1, 1]: divide 16-bit samples by 32768, or"
            " give them as integers."
        )


def trim_silence(samples: FloatArray, *, threshold_db: float, sampling_rate_hz: int = SAMPLING_RATE_HZ) -> FloatArray:
    """Cut the silence before and after speech, shape (samples,) -> (fewer samples,).

    Frames of 25 ms every 10 ms count as silent when their level lies more than ``threshold_db`` under the loudest
    frame. At least one frame stays; a clip of zeros stays as it is.

    >>> clip = np.concatenate([np.zeros(8000), np.ones(8000), np.zeros(8000)]).astype(np.float32)
    >>> len(trim_silence(clip, threshold_db=40.0))
    8560
    """
    length, hop = sampling_rate_hz // 40, sampling_rate_hz // 100
    if len(samples) <= length:
        return samples
    power = np.concatenate([[0.0], np.cumsum(samples.astype(np.float64) ** 2)])
    starts = np.arange(0, len(samples) - length + 1, hop)
    energy = power[starts + length] - power[starts]
    if energy.max() <= 0:
        return samples
    loud = np.flatnonzero(energy >= energy.max() * 10 ** (-threshold_db / 10))
    first, last = starts[loud[0]], starts[loud[-1]] + length
    return samples[first : len(samples) if loud[-1] == len(starts) - 1 else last]
