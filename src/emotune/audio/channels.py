"""Channels of a recording: their mean, one of them, or each in a row of its own."""

from __future__ import annotations

from typing import Literal

from emotune import audio
from emotune.errors import ConfigError

EACH = "each"
Channels = audio.Channel | Literal["each"]
"""``mix``, the number of a channel, or ``each``."""


def channels_named(word: str, where: str = "--channel") -> Channels:
    """Reads a user's word for channels.

    Raises:
        ConfigError: for another word; it names ``where``.

    >>> channels_named("mix"), channels_named("1"), channels_named("each")
    ('mix', 1, 'each')
    """
    if word in ("mix", EACH):
        return word
    if word.isascii() and word.isdigit():
        return int(word)
    raise ConfigError(f"{where} {word}: expected mix, a channel's number (the first is 0) or each.")


def channel_id(utterance_id: str, channel: int) -> str:
    """The id of a recording's channel: ``name#ch0``."""
    return f"{utterance_id}#ch{channel}"
