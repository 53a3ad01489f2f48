"""An utterance: one row of a manifest, its rules, and its way into a table and back."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from emotune import audio
from emotune.errors import TableError, quoted
from emotune.io.array_cache import CONTENT
from emotune.io.cells import channel_or_none, number_or_none, text_or_none
from emotune.io.tables import Row
from emotune.schema.labels import LabelSpace

GENDERS = ("female", "male", "other", "unknown")
MOST_VOTES = 1_000_000
"""Of one class for one utterance: more is a slip, and sums and products of votes stay exact below."""


@dataclass(frozen=True)
class Utterance:
    """One labelled stretch of speech. Times in seconds; what is unknown is None.

    ``channel`` is the one that is heard, counted from 0; None = the mean of all channels.

    ``gender`` and ``text`` are the corpus's own, ``gender_predicted`` and ``text_predicted`` are of models; an empty
    ``text_predicted`` is that of a clip in which a model heard no words. ``copy_of`` is the id of another utterance, in
    general an earlier one, whose sound this one is or nearly is.
    """

    utterance_id: str
    file: str
    start_s: float | None = None
    end_s: float | None = None
    channel: int | None = None
    duration_s: float | None = None
    content_sha256: str | None = None
    copy_of: str | None = None
    corpus: str | None = None
    speaker: str | None = None
    session: str | None = None
    gender: str | None = None
    gender_predicted: str | None = None
    age: float | None = None
    language: str | None = None
    text: str | None = None
    text_predicted: str | None = None
    split: str | None = None
    emotion: str | None = None
    emotion_original: str | None = None
    votes: Mapping[str, float] = field(default_factory=dict[str, float])
    dimensions: Mapping[str, float] = field(default_factory=dict[str, float])
    extra: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @property
    def heard_channel(self) -> audio.Channel:
        """Channel in the form that ``audio.clip`` takes."""
        return "mix" if self.channel is None else self.channel

    def without_labels(self) -> Utterance:
        """The same recording and speaker, of which no class, dimension or vote is known."""
        return dataclasses.replace(self, emotion=None, emotion_original=None, dimensions={}, votes={})


_NUMBERS = ("start_s", "end_s", "duration_s", "age")
COLUMNS = tuple(f.name for f in dataclasses.fields(Utterance) if f.name not in ("votes", "dimensions", "extra"))


def segment_of(utterance: Utterance) -> audio.Segment:
    """Segment of the recording that an utterance covers."""
    return audio.Segment(utterance.start_s, utterance.end_s, utterance.heard_channel)


def share_sound(one: Utterance, other: Utterance) -> bool:
    """Tells if two utterances of one recording have a part of a channel in common; one without times is all of it."""
    on_one_channel = None in (one.channel, other.channel) or one.channel == other.channel
    return on_one_channel and max(one.start_s or 0.0, other.start_s or 0.0) < min(end_of(one), end_of(other))


def end_of(utterance: Utterance) -> float:
    """Seconds from the recording's start to the utterance's end; infinity = the recording's end."""
    return math.inf if utterance.end_s is None else utterance.end_s


def check_utterance(utterance: Utterance, label_space: LabelSpace, where: str) -> None:
    """Raises a TableError when one utterance breaks a rule of the schema; ``where`` names file and row."""
    if not utterance.utterance_id:
        raise TableError(f"{where}: utterance_id is missing.")
    parts = PurePosixPath(utterance.file.replace("\\", "/"))
    if not utterance.file or parts.is_absolute() or ".." in parts.parts:
        raise TableError(
            f"{where}: file {quoted(utterance.file)} must be a path inside the root, not absolute, without '..'."
        )
    if "\0" in utterance.file or utterance.file.encode(errors="replace").decode() != utterance.file:
        raise TableError(f"{where}: file {quoted(utterance.file)} is not UTF-8 text; rename the recording.")
    _check_stretch(utterance, where)
    _check_fingerprint(utterance.content_sha256, where)
    for column in ("gender", "gender_predicted"):
        gender = getattr(utterance, column)
        if gender is not None and gender not in GENDERS:
            raise TableError(f"{where}: {column} {quoted(gender)}, expected one of {', '.join(GENDERS)} or nothing.")
    if utterance.emotion is not None and utterance.emotion not in label_space.classes:
        known = ", ".join(label_space.classes) or "none"
        raise TableError(f"{where}: emotion {quoted(utterance.emotion)} is not among the manifest's classes ({known}).")
    for name, value in utterance.votes.items():
        if not 0 <= value <= MOST_VOTES:
            raise TableError(f"{where}: votes.{name} is {value}, expected a number from 0 to {MOST_VOTES:,}.")
    for name, value in utterance.dimensions.items():
        scale = label_space.dimensions.get(name)
        if scale is not None and not scale.low <= value <= scale.high:
            raise TableError(f"{where}: {name} is {value}, outside its scale [{scale.low}, {scale.high}].")


def _check_fingerprint(content_sha256: str | None, where: str) -> None:
    """Refuses what is no SHA-256: files of caches have it for a name."""
    if content_sha256 is not None and not CONTENT.fullmatch(content_sha256):
        raise TableError(
            f"{where}: content_sha256 {content_sha256!r}, expected 64 digits from 0 to 9 and a to f, or nothing. Read"
            " the corpus again with `emotune corpus read`."
        )


def _check_stretch(utterance: Utterance, where: str) -> None:
    """Refuses impossible times, channels and durations."""
    start, end = utterance.start_s or 0.0, utterance.end_s
    if start < 0 or (end is not None and end <= start):
        raise TableError(f"{where}: start_s {start} and end_s {end}: expected 0 <= start_s < end_s.")
    if utterance.channel is not None and utterance.channel < 0:
        raise TableError(f"{where}: channel is {utterance.channel}, expected the number of a channel; the first is 0.")
    if utterance.duration_s is not None and utterance.duration_s <= 0:
        raise TableError(f"{where}: duration_s is {utterance.duration_s}, expected a positive number of seconds.")


def row_of(utterance: Utterance) -> Row:
    """Cells of a manifest's row, further columns aside."""
    row: Row = {name: getattr(utterance, name) for name in COLUMNS}
    row.update({f"votes.{name}": value for name, value in utterance.votes.items()})
    row.update(utterance.dimensions)
    return row


def utterance_of(row: Row, where: str, label_space: LabelSpace) -> Utterance:
    """Utterance of a manifest's row, not yet checked against the rules of the schema.

    Raises:
        TableError: for a cell of another kind, or without id or file; ``where`` names file and row.
    """
    values: dict[str, Any] = {}
    votes: dict[str, float] = {}
    dimensions: dict[str, float] = {}
    extra: dict[str, Any] = {}
    for name, value in row.items():
        if name in _NUMBERS:
            values[name] = number_or_none(value, f"{where}, {name}")
        elif name == "channel":
            values[name] = channel_or_none(value, f"{where}, {name}")
        elif name in COLUMNS:
            values[name] = text_or_none(value, f"{where}, {name}")
        elif name.startswith("votes."):
            number = number_or_none(value, f"{where}, {name}")
            if number is not None:
                votes[name.removeprefix("votes.")] = number
        elif name in label_space.dimensions:
            number = number_or_none(value, f"{where}, {name}")
            if number is not None:
                dimensions[name] = number
        else:
            extra[name] = value
    for required in ("utterance_id", "file"):
        if not values.get(required):
            raise TableError(f"{where}: {required} is missing.")
    return Utterance(**values, votes=votes, dimensions=dimensions, extra=extra)
