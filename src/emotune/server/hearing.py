"""Hearing of a stream, in a thread: bytes to samples to events."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from emotune.audio.live import RawSound, webm_blocks
from emotune.audio.live.played import Sampled
from emotune.choices import SampleEncoding
from emotune.errors import AudioError
from emotune.inference.predictor import Predictor
from emotune.inference.stream import Estimate, Stream
from emotune.inference.timeline.live import Heard, LiveTimeline
from emotune.inference.timeline.recording import TimelineRule
from emotune.inference.timeline.windows import window_rule
from emotune.server.backlog import Backlog
from emotune.server.options import StreamEncoding, StreamOptions
from emotune.server.settings import Limits
from emotune.timelines import UnansweredWindow
from emotune.timelines.formats.json_document import segment_to_json, unanswered_to_json

Event = dict[str, Any]
Send = Callable[[Event], None]

_RAW: dict[StreamEncoding, SampleEncoding] = {"s16le": "pcm16", "f32le": "float32", "mulaw": "mulaw"}
_WIDTHS = {"s16le": 2, "f32le": 4, "mulaw": 1}
_HOLDS_S = 10.0
_HOLDS_WEBM = 2**18  # more than ten seconds of Opus at any rate


def held_bytes(options: StreamOptions) -> int:
    """Bytes of a stream that may wait to be heard."""
    width = _WIDTHS.get(options.encoding)
    return _HOLDS_WEBM if width is None else round(_HOLDS_S * options.rate_hz * width)


class Hearing:
    """Hears a stream and sends what there is to say of it.

    Args:
        predictor: that answers.
        options: of the stream.
        limits: of the service.

    Raises:
        ConfigError: for windows that the model does not take.
    """

    def __init__(self, predictor: Predictor, options: StreamOptions, limits: Limits) -> None:
        self._options, self._limits = options, limits
        self._hears = _Estimates(predictor, options) if options.events == "estimates" else _Segments(predictor, options)

    @property
    def settings(self) -> Event:
        """Settings that the events depend on."""
        return {"events": self._options.events, **self._hears.settings}

    def run(self, backlog: Backlog, send: Send) -> None:
        """Hears until the backlog ends.

        Raises:
            AudioError: for what is no sound, or longer than a stream may be.
            Cancelled: when nobody listens any more.
        """
        heard_s = 0.0
        for samples, rate in self._blocks(backlog):
            if samples.ndim > 1 and samples.shape[1] > self._limits.channels:
                raise AudioError(f"The stream has {samples.shape[1]} channels, the most are {self._limits.channels}.")
            heard_s += len(samples) / rate
            if heard_s > self._limits.stream_s:
                raise AudioError(f"The stream is longer than {self._limits.stream_s:g} s: begin another one.")
            for event in self._hears.hear(samples, rate, backlog):
                send(event)
        for event in self._hears.finish():
            send(event)

    def _blocks(self, backlog: Backlog) -> Iterator[Sampled]:
        if self._options.encoding == "webm":
            yield from webm_blocks(backlog.read)
            return
        sound = RawSound(_RAW[self._options.encoding], self._options.rate_hz)
        while content := backlog.read():
            yield sound.decode(content), sound.sampling_rate_hz


class _Estimates:
    """Estimates of the newest window, whenever all that had come is heard."""

    def __init__(self, predictor: Predictor, options: StreamOptions) -> None:
        given = {"window_s": options.window_s, "hop_s": options.hop_s, "smoothing_s": options.smoothing_s}
        known: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
        self._stream = Stream(predictor, voice_activity=options.vad, **known)

    @property
    def settings(self) -> Event:
        stream = self._stream
        return {"window_s": stream.window_s, "hop_s": stream.hop_s, "smoothing_s": stream.smoothing_s}

    def hear(self, samples: Any, rate: int, backlog: Backlog) -> Iterator[Event]:
        self._stream.hear(samples, rate, arrived=backlog.arrived)
        if backlog.is_read and (found := self._stream.newest()) is not None:
            yield estimate_json(found)

    def finish(self) -> Iterator[Event]:
        if (found := self._stream.finish()) is not None:
            yield estimate_json(found)


class _Segments:
    """Segments of a timeline."""

    def __init__(self, predictor: Predictor, options: StreamOptions) -> None:
        self._rule = TimelineRule(window_rule(options.window_s, options.hop_s), options.vad)
        self._timeline = LiveTimeline(predictor, rule=self._rule)

    @property
    def settings(self) -> Event:
        return {"window_s": self._rule.windows.window_s, "hop_s": self._rule.windows.hop_s}

    def hear(self, samples: Any, rate: int, backlog: Backlog) -> Iterator[Event]:
        yield from map(timeline_json, self._timeline.feed(samples, rate))

    def finish(self) -> Iterator[Event]:
        yield from map(timeline_json, self._timeline.finish())


def timeline_json(heard: Heard) -> Event:
    """Event of a segment, or of a window without an answer."""
    if isinstance(heard, UnansweredWindow):
        return {"type": "unanswered", **unanswered_to_json(heard)}
    return {"type": "segment", **segment_to_json(heard)}


def estimate_json(estimate: Estimate) -> Event:
    """Event of an estimate."""
    row = estimate.prediction
    return {
        "type": "estimate",
        "start_ms": round(estimate.start_s * 1000),
        "end_ms": round(estimate.end_s * 1000),
        "speech_ms": round(estimate.speech_s * 1000),
        "is_speaking": estimate.is_speaking,
        "emotion": estimate.emotion,
        "confidence": None if row is None else max(row.probabilities.values(), default=None),
        "uncertain": row is not None and row.uncertain,
        "probabilities": {} if row is None else dict(row.probabilities),
        "dimensions": {} if row is None else dict(row.dimensions),
        "lag_ms": round(estimate.lag_s * 1000),
        "skipped": estimate.skipped,
        "error": None if row is None else row.error,
    }
