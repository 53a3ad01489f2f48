"""Questions to a server: recordings as it takes them, and options as they stand in the address."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Generic, Literal, TypeVar

import numpy as np
import soundfile

from emotune.audio.channels import EACH, Channels
from emotune.audio.decoding import SoundSource, opened_array
from emotune.audio.decoding.in_memory import plain
from emotune.client.answers import Json, failed_row, label_space_of, predictions_of, timeline_of
from emotune.errors import AudioError, ConfigError
from emotune.inference.items import Item
from emotune.inference.timeline.recording import TimelineRule
from emotune.schema.predictions import Prediction, Predictions
from emotune.timelines import Timeline

Kind = Literal["timeline", "predict"]
_AT_ONCE_BYTES = 50_000_000
"""A larger recording is a job from the beginning: a request that is refused would have sent it in vain."""
_Found = TypeVar("_Found")


@dataclass(frozen=True)
class Question(Generic[_Found]):
    """Question about one recording, the same for every client.

    Args:
        kind: of the answer.
        item: that it is about.
        options: beside those of all questions.
        read: makes the object that a loaded model would give of the answer.
    """

    kind: Kind
    item: Item
    options: Mapping[str, Any]
    read: Callable[[Json], _Found]

    @property
    def route(self) -> str:
        """Route that answers it at once."""
        return f"/v1/{self.kind}"

    @property
    def is_large(self) -> bool:
        """Tells that the recording has more bytes than are sent for an answer at once."""
        return _bytes_of(self.item) > _AT_ONCE_BYTES


def prediction_asked(item: Item, channel: Channels) -> Question[list[Prediction]]:
    """Question for the rows of a recording; its own channel comes before the one that is asked for."""
    heard = channel if item.channel == "mix" else item.channel
    return Question("predict", item, {"channel": heard}, lambda body: predictions_of(item, body, _named(item, channel)))


def one_asked(item: Item, channel: Channels) -> Question[Prediction | Predictions]:
    """Question for what ``Predictor.predict`` gives of one recording: a prediction, or one for each channel."""
    rows = prediction_asked(item, channel)

    def read(body: Json) -> Prediction | Predictions:
        found = rows.read(body)
        return table_of(found, body["model"]) if channel == EACH else found[0]

    return Question("predict", item, rows.options, read)


def job_asked(
    kind: Kind, item: Item, channel: Channels, rule: TimelineRule | None
) -> Question[Timeline] | Question[Prediction | Predictions]:
    """Question of a job.

    Raises:
        ConfigError: for a kind that there is not, or a rule that goes with another.
    """
    if kind == "timeline":
        return timeline_asked(item, channel, rule)
    if kind != "predict":
        raise ConfigError(f"There are no jobs of kind '{kind}', but of timeline and predict.")
    if rule is not None:
        raise ConfigError("A rule is for timelines: leave it out, or ask for kind='timeline'.")
    return one_asked(item, channel)


def rows_of_failure(item: Item, error: Exception, channel: Channels) -> list[Prediction]:
    """Rows of a recording that has no answer."""
    return [failed_row(item, error, _named(item, channel))]


def _named(item: Item, channel: Channels) -> Channels:
    """Channel that the rows have yet to name: an item's own stands in its columns already."""
    return channel if item.channel == "mix" else "mix"


def timeline_asked(item: Item, channel: Channels, rule: TimelineRule | None) -> Question[Timeline]:
    """Question for the timeline of a recording; its own channel comes before the one that is asked for.

    Raises:
        ConfigError: for a rule that servers do not take.
    """
    heard = channel if item.channel == "mix" else item.channel
    options = {"channel": heard, **options_of(rule)}
    return Question("timeline", item, options, lambda body: timeline_of(item, body))


def table_of(rows: Iterable[Prediction], about: Json) -> Predictions:
    """Rows with the classes, dimensions and fingerprint of the model that gave them."""
    return Predictions(tuple(rows), label_space_of(about), about["fingerprint"])


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


def _bytes_of(item: Item) -> int:
    """Bytes of a recording as ``file_of`` sends it; 0 for what it refuses."""
    source = plain(item.source)
    if isinstance(source, bytes):
        return len(source)
    if isinstance(source, Path):
        return source.stat().st_size if source.is_file() else 0
    return 0 if isinstance(source, SoundSource) else 4 * np.size(source[0])


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
