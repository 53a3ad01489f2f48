"""Timeline of a recording, heard block by block: memory does not grow with its length."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from emotune import audio
from emotune.audio.channels import Channels
from emotune.audio.preprocessing import Preprocessing
from emotune.audio.voice_activity import RATE_HZ, Turns, best_method, speech_detector
from emotune.choices import VadMethod
from emotune.errors import AudioError, ConfigError
from emotune.inference.items import Item, item_given
from emotune.inference.timeline.smoothing import CHANGE_COST, Piece, Smoother, Values
from emotune.inference.timeline.windows import Window, WindowCutter, WindowRule, cut_windows
from emotune.runtime.progress import Progress, silent
from emotune.timelines.diarisation import SpeakerTurns
from emotune.timelines.timeline import Timeline, TimelineSegment, Track, UnansweredWindow

if TYPE_CHECKING:
    from emotune.inference.predictor import Predictor
    from emotune.schema.predictions import Prediction

POOL = 96
"""Windows in memory at a time, twice; of any number the answers are the same, larger ones are not faster."""

_LOUDNESS_S = 0.02
_OF_ANOTHER_LENGTH = ("text", "text_predicted")


@dataclass(frozen=True)
class TimelineRule:
    """Rule of a timeline: everything that it depends on beside the model.

    Args:
        windows: that the model hears.
        vad: how speech is found; None = Silero's network. ``none`` takes everything for speech.
        change_cost: see ``Smoother``.
    """

    windows: WindowRule = field(default_factory=WindowRule)
    vad: VadMethod | None = None
    change_cost: float = CHANGE_COST


def check_windows(windows: WindowRule, preprocessing: Preprocessing) -> None:
    """Refuses windows that a model does not take.

    Raises:
        ConfigError: with the lengths that it takes.
    """
    least_s = preprocessing.min_samples / preprocessing.sampling_rate_hz
    if not least_s <= windows.window_s <= preprocessing.max_duration_s:
        raise ConfigError(
            f"The window is {windows.window_s:g} s long; the model takes {least_s:g} to"
            f" {preprocessing.max_duration_s:g} s. Choose another --window."
        )


def least_samples(preprocessing: Preprocessing) -> int:
    """Samples at 16 kHz that a model needs."""
    return math.ceil(preprocessing.min_samples * RATE_HZ / preprocessing.sampling_rate_hz)


def timeline_of(
    predictor: Predictor,
    source: Any,
    sampling_rate_hz: int | None = None,
    *,
    channel: Channels = "mix",
    speakers: SpeakerTurns | None = None,
    rule: TimelineRule | None = None,
) -> Timeline:
    """Emotions of a recording of any length, from moment to moment, decoded block by block.

    Args:
        predictor: answers about the windows.
        source, sampling_rate_hz: one recording, as for ``Predictor.predict``.
        channel: ``mix``, a number, or ``each``: a voice of its own on every channel.
        speakers: turns of speakers, in place of voice activity; see ``timelines.diarisation``.
        rule: windows, voice activity and smoothing.

    Raises:
        AudioError: when the recording cannot be used.
        ConfigError: when the model takes no windows of the rule's length.
    """
    item = item_given(source, sampling_rate_hz)
    if item.error is not None:
        raise AudioError(item.error)
    return RecordingTimeline(predictor, item, channel=channel, speakers=speakers, rule=rule).run()


class RecordingTimeline:
    """Makes the timeline of one recording.

    Args:
        predictor: answers about the windows, and says when it is uncertain.
        item: the recording, or a part of it; times count from the recording's beginning.
        channel, speakers, rule: see ``timeline_of``.

    Raises:
        ConfigError: when the model takes no windows of the rule's length.
    """

    def __init__(
        self,
        predictor: Predictor,
        item: Item,
        *,
        channel: Channels = "mix",
        speakers: SpeakerTurns | None = None,
        rule: TimelineRule | None = None,
    ) -> None:
        self.predictor, self.item, self.speakers = predictor, item, speakers
        self.rule = rule or TimelineRule()
        check_windows(self.rule.windows, predictor.engine.preprocessing)
        self._channel = channel if item.channel == "mix" else item.channel
        self._heard = 0
        self._offset = round((item.start_s or 0.0) * RATE_HZ)
        self._loudness: dict[int | None, list[audio.FloatArray]] = {}
        self._unanswered: list[UnansweredWindow] = []
        self._waiting: dict[int, tuple[Track, Window]] = {}  # windows that are not answered yet, by position

    def run(self, progress: Progress = silent) -> Timeline:
        """Hears the recording to its end.

        Raises:
            AudioError: when it cannot be used.
        """
        channels = self._channels()
        with audio.blocks(
            self.item.source, channels, start_s=self.item.start_s, end_s=self.item.end_s, sampling_rate_hz=RATE_HZ
        ) as opened:
            cutters = self._cutters(channels)
            tracks = list(cutters)
            blocks = self._memorised(opened.blocks, tracks)
            pieces: dict[Track, list[Piece]] = {track: [] for track in tracks}
            total = max(1, math.ceil(opened.likely_s))
            seconds = self._answered_seconds(cut_windows(blocks, cutters), pieces, total)
            for _ in progress(seconds, total=total, title=self.item.utterance_id):
                pass
        self._unanswered += self._turns_behind_the_end(tracks)
        if self._unanswered and not any(pieces.values()):
            raise AudioError(self._unanswered[0].error)
        segments = tuple(
            segment_of(self.predictor, track, piece, offset=self._offset) for track in tracks for piece in pieces[track]
        )
        return Timeline(
            self.item.utterance_id,
            self.predictor.label_space,
            in_seconds(self._offset + self._heard),
            segments,
            tuple(tracks),
            unanswered=tuple(self._unanswered),
            loudness={channel: np.concatenate(peaks) for channel, peaks in self._loudness.items()},
            loudness_step_s=_LOUDNESS_S,
            settings=self.settings(),
            model_fingerprint=self.predictor.engine.fingerprint,
        )

    def settings(self) -> dict[str, Any]:
        """Settings that the segments depend on."""
        vad = "given speakers" if self.speakers is not None else self.rule.vad or best_method()
        return {
            "window_s": self.rule.windows.window_s,
            "hop_s": self.rule.windows.hop_s,
            "vad": vad,
            "change_cost": self.rule.change_cost,
            "uncertain_below": self.predictor.answered_from,
        }

    def _channels(self) -> Sequence[audio.Channel]:
        if self._channel == "each":
            return list(range(audio.channel_count(self.item.source)))
        return ["mix" if isinstance(self._channel, str) else self._channel]

    def _cutters(self, channels: Sequence[audio.Channel]) -> dict[Track, WindowCutter]:
        """A cutter for each voice, in the order of the timeline; a given turn is never widened by another's speech."""
        windows = self.rule.windows
        named = [None if channel == "mix" else channel for channel in channels]
        if self.speakers is None:
            least = least_samples(self.predictor.engine.preprocessing)
            detectors = {Track(channel): speech_detector(self.rule.vad) for channel in named}
            return {track: WindowCutter(windows, found, least=least) for track, found in detectors.items()}
        return {
            Track(channel, speaker): WindowCutter(windows, Turns(self._turns(speaker)))
            for channel in named
            for speaker in sorted(self.speakers)
        }

    def _turns(self, speaker: str) -> list[tuple[float, float]]:
        """Turns that begin in the part that is heard, counted from its start."""
        assert self.speakers is not None
        offset_s = self._offset / RATE_HZ
        moved = [(start_s - offset_s, end_s - offset_s) for start_s, end_s in self.speakers[speaker]]
        return [(max(0.0, start_s), end_s) for start_s, end_s in moved if end_s > 0]

    def _turns_behind_the_end(self, tracks: Sequence[Track]) -> Iterator[UnansweredWindow]:
        """Yields the turns of each speaker that the recording, heard to its end, does not have."""
        if self.speakers is None or self.item.end_s is not None:
            return
        end_s = in_seconds(self._offset + self._heard)
        for track in tracks:
            behind = sorted(turn for turn in self.speakers[track.speaker or ""] if turn[1] > end_s + audio.LENIENCE_S)
            if behind:
                turns = "1 turn" if len(behind) == 1 else f"{len(behind)} turns"
                last = max(turn[1] for turn in behind)
                yield UnansweredWindow(
                    max(behind[0][0], end_s),
                    last,
                    f"{self.item.utterance_id}: it ends at {end_s:g} s, and {turns} of {track.speaker} later, at"
                    f" {last:g} s at the latest. Is it the diarisation of another recording?",
                    track,
                )

    def _memorised(
        self, blocks: Iterator[tuple[audio.FloatArray, ...]], tracks: Sequence[Track]
    ) -> Iterator[tuple[audio.FloatArray, ...]]:
        """The blocks; memorises peaks and the length on the way."""
        channels = list(dict.fromkeys(track.channel for track in tracks))
        for block in blocks:
            self._heard += len(block[0])
            for channel, samples in zip(channels, block, strict=True):
                self._loudness.setdefault(channel, []).append(_peaks(samples))
            yield block

    def _items(self, windows: Iterator[tuple[Track, Window]]) -> Iterator[Item]:
        known = known_of_windows(self.item)
        for position, (track, window) in enumerate(windows):
            self._waiting[position] = (track, window.without_samples())
            place = f"window {position + 1}"
            if track.speaker is not None:
                place = f"{track.speaker} at {in_seconds(self._offset + window.start):g} s"
            yield Item(f"{self.item.utterance_id}, {place}", (window.samples, RATE_HZ), known=known)

    def _answered_seconds(
        self, windows: Iterator[tuple[Track, Window]], pieces: Mapping[Track, list[Piece]], total: int
    ) -> Iterator[None]:
        """Fills in the pieces as they are complete; yields once for each of ``total`` seconds that is answered."""
        classes, hop = len(self.predictor.label_space.classes), self.rule.windows.hop
        smoothers = {track: Smoother(classes, hop, change_cost=self.rule.change_cost) for track in pieces}
        early: dict[int, Prediction] = {}
        due = second = 0
        for position, row in self.predictor.stream(self._items(windows), pool_items=POOL):
            early[position] = row
            while due in early:
                track, window = self._waiting.pop(due)
                values = self._values(early.pop(due), track, window)
                pieces[track].extend(smoothers[track].add(window, values))
                due += 1
                while second < min(window.end // RATE_HZ, total):  # a header may promise less than there is
                    yield
                    second += 1

    def _values(self, row: Prediction, track: Track, window: Window) -> Values | None:
        if row.error is not None:
            start_s, end_s = in_seconds(self._offset + window.start), in_seconds(self._offset + window.end)
            self._unanswered.append(UnansweredWindow(start_s, end_s, row.error, track))
            return None
        return values_of(row)


def values_of(row: Prediction) -> Values:
    """Probabilities and dimensions of an answered window, shape (classes + dimensions,)."""
    return np.array([*row.probabilities.values(), *row.dimensions.values()], dtype=np.float64)


def segment_of(predictor: Predictor, track: Track, piece: Piece, *, offset: int = 0) -> TimelineSegment:
    """Segment of a piece; ``offset`` is the sample of the recording that the piece counts from."""
    space, count = predictor.label_space, len(predictor.label_space.classes)
    probabilities = dict(zip(space.classes, cast(list[float], piece.values[:count].tolist()), strict=True))
    dimensions = dict(zip(space.dimensions, cast(list[float], piece.values[count:].tolist()), strict=True))
    return TimelineSegment(
        in_seconds(offset + piece.start),
        in_seconds(offset + piece.end),
        probabilities,
        dimensions,
        track,
        uncertain=max(probabilities.values(), default=1.0) < predictor.answered_from,
    )


def known_of_windows(item: Item) -> dict[str, Any]:
    """Values of conditions that are known of a recording and true of its windows, too: not its words."""
    return {name: value for name, value in item.known.items() if name not in _OF_ANOTHER_LENGTH}


def in_seconds(samples: int) -> float:
    """Seconds of so many samples, to whole milliseconds.

    Neighbours get the same number, so that no format makes them overlap.
    """
    return round(samples * 1000 / RATE_HZ) / 1000


def _peaks(samples: audio.FloatArray) -> audio.FloatArray:
    """Largest magnitudes, shape (samples,) -> (steps,)."""
    step = round(_LOUDNESS_S * RATE_HZ)
    return np.abs(np.pad(samples, (0, -len(samples) % step))).reshape(-1, step).max(axis=1)
