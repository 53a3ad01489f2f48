"""Timeline of sound that comes block by block: each segment as soon as nothing that follows can change it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from emotune.audio import FloatArray
from emotune.audio.live import Mono
from emotune.audio.voice_activity import RATE_HZ, speech_detector
from emotune.inference.items import Item
from emotune.inference.timeline.recording import (
    TimelineRule,
    check_windows,
    in_seconds,
    least_samples,
    segment_of,
    values_of,
)
from emotune.inference.timeline.smoothing import Smoother
from emotune.inference.timeline.windows import Window, WindowCutter
from emotune.timelines.timeline import TimelineSegment, Track, UnansweredWindow

if TYPE_CHECKING:
    from emotune.inference.predictor import Predictor

Heard = TimelineSegment | UnansweredWindow


class LiveTimeline:
    """Gives the segments that ``Predictor.timeline`` gives of the same sound, one stretch of speech after another.

    A stretch is known to have ended after the pause that ends it; its segments come then. A window that could not be
    answered comes as soon as that is known, in the place of segments that do not hold it. Blocks may have any size.

    Args:
        predictor: answers about the windows, and says when it is uncertain.
        rule: windows, voice activity and smoothing.

    Raises:
        ConfigError: when the model takes no windows of the rule's length.
    """

    def __init__(self, predictor: Predictor, *, rule: TimelineRule | None = None) -> None:
        rule = rule or TimelineRule()
        preprocessing = predictor.engine.preprocessing
        check_windows(rule.windows, preprocessing)
        self.predictor = predictor
        self._mono = Mono()
        self._cutter = WindowCutter(rule.windows, speech_detector(rule.vad), least=least_samples(preprocessing))
        classes = len(predictor.label_space.classes)
        self._smoother = Smoother(classes, rule.windows.hop, change_cost=rule.change_cost)

    @property
    def heard_s(self) -> float:
        """Seconds of sound so far."""
        return self._mono.given_s

    def feed(self, samples: NDArray[Any], sampling_rate_hz: int = RATE_HZ) -> list[Heard]:
        """Hears a block and gives the segments that became final, and the windows without an answer.

        Args:
            samples: shape (samples,) or (samples, channels), of which the mean is heard; floats in [-1, 1] or integers.
            sampling_rate_hz: of the samples.

        Raises:
            AudioError: for what cannot be sound.
        """
        return self._answered(self._cutter.feed(self._mono(samples, sampling_rate_hz)))

    def finish(self) -> list[Heard]:
        """Ends the sound and gives what is left."""
        rest: FloatArray = self._mono.finish()
        return self._answered([*self._cutter.feed(rest), *self._cutter.finish()])

    def _answered(self, windows: Sequence[Window]) -> list[Heard]:
        items = [Item("The stream", (window.samples, RATE_HZ)) for window in windows]
        rows = self.predictor.predict_items(items) if items else ()
        found: list[Heard] = []
        for window, row in zip(windows, rows, strict=True):
            if row.error is not None:
                found.append(UnansweredWindow(in_seconds(window.start), in_seconds(window.end), row.error))
            values = None if row.error is not None else values_of(row)
            pieces = self._smoother.add(window.without_samples(), values)
            found += [segment_of(self.predictor, Track(), piece) for piece in pieces]
        return found
