"""MP3 files whose length cannot be told from their first frame."""

from __future__ import annotations

from typing import BinaryIO

_KBITS = {  # of layer 3 by the header's index: MPEG 1, and MPEG 2 and 2.5
    True: (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    False: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_RATES_HZ = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}  # by version
_INDICES = (b"Xing", b"Info", b"VBRI")


def varies_without_index(stream: BinaryIO) -> bool:
    """Tells whether an MP3's bit rate varies without an index: libsndfile then guesses its length, and stops there.

    References:
        ISO/IEC 11172-3, 2.4.1.3; ISO/IEC 13818-3, 2.4.2.3.
    """
    stream.seek(0)
    at = _start(stream.read(10))
    stream.seek(at)
    first: int | None = None
    while (frame := _frame(stream.read(4))) is not None:
        kbits, size = frame
        body = stream.read(size - 4)
        if first is None and any(index in body[:64] for index in _INDICES):
            return False
        first = kbits if first is None else first
        if kbits != first:
            return True
    return False


def _start(head: bytes) -> int:
    """Finds the first frame: behind ID3v2, whose size is written in four times seven bits."""
    if head[:3] != b"ID3" or len(head) < 10:
        return 0
    size = 0
    for byte in head[6:10]:
        size = size << 7 | byte & 0x7F
    return 10 + size + (10 if head[5] & 0x10 else 0)


def _frame(head: bytes) -> tuple[int, int] | None:
    """Bit rate and size in bytes of a frame of layer 3; None for what is no such header."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE6 != 0xE2:
        return None
    version, rate_index, bit_index = head[1] >> 3 & 3, head[2] >> 2 & 3, head[2] >> 4
    if version == 1 or rate_index == 3 or bit_index in (0, 15):
        return None
    kbits = _KBITS[version == 3][bit_index]
    slots = 144 if version == 3 else 72
    return kbits, slots * 1000 * kbits // _RATES_HZ[version][rate_index] + (head[2] >> 1 & 1)
