"""Questions to a server: recordings as it takes them, and options as they stand in the address."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import soundfile

from emotune.audio.decoding import SoundSource, opened_array
from emotune.audio.decoding.in_memory import plain
from emotune.errors import AudioError, ConfigError
from emotune.inference.items import Item
from emotune.inference.timeline.recording import TimelineRule


def file_of(item: Item) -> tuple[str, BinaryIO]:
    """Name and content of a recording; samples go as a WAV of floats, which changes none of them.

    Raises:
        AudioError: for what cannot be sent: a segment, or a path where nothing is.
    """
    if item.error is not None:
        raise AudioError(item.error)
    if item.start_s is not None or item.end_s is not None:
        raise AudioError(
            f"{item.utterance_id} is a segment, and a server hears whole recordings: cut it out, or predict here."
        )
    source = plain(item.source)
    if isinstance(source, bytes):
        return Path(item.utterance_id).name or "recording", io.BytesIO(source)
    if isinstance(source, Path):
        try:
            return source.name, source.open("rb")
        except OSError as error:
            raise AudioError(f"{source} cannot be read: {error.strerror}.") from error
    if isinstance(source, SoundSource):
        raise AudioError(f"{item.utterance_id} is an open sound: give its path, bytes or samples.")
    samples = np.concatenate(list(opened_array(source).blocks_from(0)))
    content = io.BytesIO()
    soundfile.write(content, samples, source[1], format="WAV", subtype="FLOAT")
    content.seek(0)
    return f"{item.utterance_id}.wav", content


def options_of(rule: TimelineRule | None) -> Mapping[str, Any]:
    """Options of a timeline's rule.

    Raises:
        ConfigError: for a cost of changes, which servers have of their own.
    """
    if rule is None:
        return {}
    if rule.change_cost != TimelineRule.change_cost:
        raise ConfigError("A server smooths with its own change_cost: leave it out.")
    vad = {} if rule.vad is None else {"vad": rule.vad}
    return {"window_s": rule.windows.window_s, "hop_s": rule.windows.hop_s, **vad}
