"""Encoded recordings: by libsndfile where it knows the format, and else by PyAV (see ``media``)."""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, cast

import soundfile

from emotune.audio.decoding import media
from emotune.audio.decoding.mp3_frames import varies_without_index
from emotune.audio.decoding.sound import FloatArray, Sound, block_frames
from emotune.audio.decoding.wav_header import with_size
from emotune.errors import AudioError

SUFFIXES = (".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".mp2", ".aiff", ".aif", ".aifc", ".au", ".snd")
SUFFIXES += (".w64", ".rf64", ".caf", ".sph", ".nist", ".voc")
_NOT_ITS_FORMAT = (
    1,
    4,
    29,
    64,
)  # libsndfile's codes for what it does not know: contents, codecs in a WAV or Ogg
_UNKNOWN_LENGTH = 1 << 62  # libsndfile's way to say that a stream names no length
_PLACEHOLDER = 0x7FFF0000  # SoX writes 0x7FFFF000, less what does not fill a block, where it cannot know the size


class _Forward(soundfile.SoundFile):
    """A file that is read from where it stands: soundfile itself seeks after every block, in some formats wrongly."""

    def seekable(self) -> bool:
        return False


class _Steady:
    """Stream that stays where it is when it is told to go before its beginning, as broken headers do."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.tell, self.read = stream.tell, stream.read
        self.readinto = cast(io.BufferedReader, stream).readinto

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        with contextlib.suppress(ValueError, OSError):  # which soundfile would print, with a traceback
            self._stream.seek(offset, whence)
        return self._stream.tell()


@contextmanager
def opened(stream: BinaryIO, name: str) -> Iterator[Sound]:
    """A recording from its first byte on, as a sound.

    Raises:
        AudioError: for what is no recording, or is damaged.
    """
    file = _file_of(stream, name)
    if file is None:
        stream.seek(0)
        with media.opened(stream, name) as sound:
            yield sound
        return
    with file:
        yield _sound_of(file, name)


def _file_of(stream: BinaryIO, name: str) -> _Forward | None:
    """The file as libsndfile opens it; None where it does not know the format, or would lose the end."""
    try:
        file = _Forward(cast(BinaryIO, _Steady(with_size(stream))))
    except (soundfile.LibsndfileError, RuntimeError, TypeError) as error:
        if getattr(error, "code", None) in _NOT_ITS_FORMAT:
            return None
        raise AudioError(_not_decoded(error, name)) from error
    if _is_read_wrongly(file, stream):
        file.close()
        return None
    if _is_cut_short(file):
        file.close()
        raise AudioError(f"{name} is damaged: its header promises more than the file holds. Copy it again.")
    return file


def _sound_of(file: _Forward, name: str) -> Sound:
    rate, total = file.samplerate, file.frames
    is_mp3 = file.subtype.startswith("MPEG")  # whose length may be a guess, and whose seeks land near the wanted frame
    seeks = not is_mp3 and soundfile.SoundFile.seekable(file)

    def blocks_from(start: int) -> Iterator[FloatArray]:
        at, size = start, block_frames(file.channels)
        try:
            if seeks:
                file.seek(start)
            while at < total:
                block = cast(FloatArray, file.read(min(size, total - at), dtype="float32", always_2d=True))
                if not len(block):
                    break
                at += len(block)
                yield block
        except (soundfile.LibsndfileError, RuntimeError, TypeError) as error:
            raise AudioError(_not_decoded(error, name)) from error
        if at < total and not is_mp3:
            raise AudioError(
                f"{name} is damaged: it ends after {at / rate:.2f} of {total / rate:.2f} s. Copy or download it again."
            )

    return Sound(name, rate, file.channels, None if is_mp3 else total, total, seeks, blocks_from)


def _is_read_wrongly(file: soundfile.SoundFile, stream: BinaryIO) -> bool:
    """Tells whether libsndfile would lose the end of a recording, or take something else for sound, without a word."""
    if file.frames >= _UNKNOWN_LENGTH:  # a FLAC that names no length loses its last block
        return True
    if file.format == "VOC":  # the heads of all its blocks but the first become sound
        return True
    if file.format != "MP3":
        return False
    at = stream.tell()
    varies = varies_without_index(stream)
    stream.seek(at)
    return varies


def _is_cut_short(file: soundfile.SoundFile) -> bool:
    """Tells whether a WAV's data chunk is larger than its file; 0 and the largest sizes mean that it was streamed."""
    found = re.search(r"data : (0x[0-9A-Fa-f]+|\d+) \(should be (\d+)\)", file.extra_info)
    if not file.format.startswith("WAV") or found is None:
        return False
    promised, held = int(found.group(1), 0), int(found.group(2))
    return held < promised < _PLACEHOLDER


def _not_decoded(error: Exception, name: str) -> str:
    reason = str(error).split(": ")[-1].rstrip(".")
    return (
        f"{name} cannot be decoded ({reason}). Expected a recording ({', '.join(SUFFIXES)}); convert it, for example"
        " with ffmpeg -i input output.wav."
    )
