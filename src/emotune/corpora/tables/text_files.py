"""Text of a corpus in whatever encoding it was once saved."""

from __future__ import annotations

from pathlib import Path

from emotune.errors import CorpusError

_WINDOWS = {code: bytes([code]).decode("cp1252", errors="replace") for code in range(0x80, 0xA0)}


def read_text(path: Path, *fallbacks: str) -> str:
    """The text of a file: UTF-8 or UTF-16 where it is that, else the first of ``fallbacks`` that fits, else latin-1.

    Raises:
        CorpusError: when the file cannot be read.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CorpusError(f"{path} cannot be read: {error.strerror or error}.") from error
    for encoding in (_utf(content), *fallbacks):
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    return content.decode("latin-1")


def _utf(content: bytes) -> str:
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    if b"\0" in content[:200]:  # half of the bytes of plain letters; no other encoding has them
        return "utf-16-be" if content.startswith(b"\0") else "utf-16-le"
    return "utf-8-sig"


def unmangled(text: str) -> str:
    r"""Text with its Windows quotes and dashes restored, which a wrong decoding had turned into other letters.

    >>> unmangled("I\x92m"), unmangled("Iâ€™m"), unmangled("café")
    ('I’m', 'I’m', 'café')
    """
    if "â€" in text:
        try:
            text = text.encode("cp1252").decode("utf-8")
        except UnicodeError:
            return text
    return text.translate(_WINDOWS)
