"""Words of annotation files: what a segment is called, and letters that a format has no place for."""

from __future__ import annotations

from pathlib import PurePath
from urllib.parse import unquote

from emotune import audio
from emotune.timelines.timeline import TimelineSegment


def label_of(segment: TimelineSegment) -> str:
    """The answer; for a model without classes its dimensions, such as ``arousal 3.25, valence 4.10``."""
    if segment.emotion is not None:
        return segment.emotion
    return ", ".join(f"{name} {value:.2f}" for name, value in segment.dimensions.items())


def encoded(text: str, letters: str) -> str:
    r"""Text in which some letters, and the per cent sign, stand as in web addresses; all others stay as they are.

    >>> encoded("très 100 %\n", " \n"), decoded("très%20100%20%25%0A")
    ('très%20100%20%25%0A', 'très 100 %\n')
    """
    return "".join(f"%{ord(letter):02X}" if letter in letters or letter == "%" else letter for letter in text)


def decoded(text: str) -> str:
    """Takes back what ``encoded`` did."""
    return unquote(text)


def plain_name(recording: str) -> str:
    """A recording's id without the suffix of a recording; what else follows a point is part of the name.

    >>> plain_name("deep/a.wav"), plain_name("a.wav#1-2.5"), plain_name("Dr. No")
    ('deep/a', 'a.wav#1-2.5', 'Dr. No')
    """
    path = PurePath(recording)
    return str(path.with_suffix("")) if path.suffix.lower() in audio.SUFFIXES else recording


def milliseconds(seconds: float) -> int:
    """Milliseconds of times that are whole numbers of them."""
    return round(seconds * 1000)
