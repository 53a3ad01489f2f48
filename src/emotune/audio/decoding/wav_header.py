"""WAV files whose writer never came back to fill in the size of the sound, as recorders and pipes leave them."""

from __future__ import annotations

import io
import struct
from typing import BinaryIO

_UNKNOWN = b"\xff\xff\xff\xff"  # libsndfile then takes what the file holds


def with_size(stream: BinaryIO) -> BinaryIO:
    """Stream with a usable size: a WAV that states 0 bytes of sound but holds some is read to its end."""
    place = _place_of_an_empty_size(stream)
    stream.seek(0)
    return stream if place is None else io.BufferedReader(_Patched(stream, place))


def _place_of_an_empty_size(stream: BinaryIO) -> int | None:
    """Finds the size of an empty data chunk that is followed by bytes which are no chunks of their own."""
    end = stream.seek(0, io.SEEK_END)
    stream.seek(0)
    head = stream.read(12)
    if head[:4] != b"RIFF" or head[8:] != b"WAVE":
        return None
    at = 12
    while (chunk := _chunk(stream, at)) is not None:
        kind, size = chunk
        if kind == b"data":
            return at + 4 if size == 0 and at + 8 < end and not _are_chunks(stream, at + 8, end) else None
        at += 8 + size + size % 2
    return None


def _chunk(stream: BinaryIO, at: int) -> tuple[bytes, int] | None:
    stream.seek(at)
    head = stream.read(8)
    return (head[:4], struct.unpack("<I", head[4:])[0]) if len(head) == 8 else None


def _are_chunks(stream: BinaryIO, at: int, end: int) -> bool:
    """Tells whether named chunks fill the file from here to its end."""
    while at < end:
        chunk = _chunk(stream, at)
        if chunk is None or not all(32 <= byte < 127 for byte in chunk[0]):
            return False
        at += 8 + chunk[1] + chunk[1] % 2
    return at in (end, end + 1)  # the last one may lack its padding


class _Patched(io.RawIOBase):
    """Stream in which four bytes are replaced."""

    def __init__(self, stream: BinaryIO, place: int) -> None:
        self._stream = stream
        self._place = place

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        return self._stream.seek(offset, whence)

    def readinto(self, buffer: memoryview, /) -> int:  # pyright: ignore[reportIncompatibleMethodOverride]
        at = self._stream.tell()
        content = bytearray(self._stream.read(len(buffer)))
        for number, byte in enumerate(_UNKNOWN):
            if 0 <= self._place + number - at < len(content):
                content[self._place + number - at] = byte
        buffer[: len(content)] = content
        return len(content)
