"""Rolling estimate of emotion over sound that comes block by block."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from emotune.audio import SAMPLING_RATE_HZ, FloatArray
from emotune.audio.live import Mono
from emotune.audio.voice_activity import FRAME, Stretch, speech_detector
from emotune.choices import VadMethod
from emotune.errors import ConfigError
from emotune.inference.items import Item
from emotune.inference.predictor import Predictor
from emotune.schema.predictions import Prediction
from emotune.timelines import NO_SPEECH

_LEAST_SPEECH_S = 0.5  # of a window that is predicted
_FRAMES_AT_ONCE = 4  # of voice activity: it is known 128 ms after the sound


@dataclass(frozen=True)
class Estimate:
    """Estimate for the newest window of a stream.

    Args:
        start_s, end_s: of the window, in seconds of sound since the stream began.
        speech_s: seconds of speech in it.
        is_speaking: speech goes on at its end.
        prediction: of the speech in it, smoothed over the windows before; None where there is too little speech.
        lag_s: from the end of the window to the moment when the estimate was there.
        skipped: windows before it that nobody answered, since computing them took longer than they last.
    """

    start_s: float
    end_s: float
    speech_s: float
    is_speaking: bool
    prediction: Prediction | None
    lag_s: float
    skipped: int = 0

    @property
    def emotion(self) -> str | None:
        """The most probable class, ``uncertain`` where the model abstains, ``no speech`` where there is none."""
        return NO_SPEECH if self.prediction is None else self.prediction.emotion

    def to_json(self) -> dict[str, Any]:
        """Plain fields, as ``emotune listen --jsonl`` writes them."""
        answer = self.prediction
        return {
            "start_s": round(self.start_s, 3),
            "end_s": round(self.end_s, 3),
            "speech_s": round(self.speech_s, 3),
            "is_speaking": self.is_speaking,
            "emotion": self.emotion,
            "probabilities": None if answer is None else dict(answer.probabilities),
            "dimensions": None if answer is None else dict(answer.dimensions),
            "lag_s": round(self.lag_s, 3),
            "skipped": self.skipped,
            "error": None if answer is None else answer.error,
        }


class Stream:
    """Estimates emotion over the last seconds of a stream, again and again.

    Windows end at every multiple of ``hop_s``; of each, the model hears the part from the first speech in it to the
    last. ``feed`` answers every window, and gives the same whatever the size of the blocks. What must keep up with live
    sound calls ``hear`` for each block and then ``newest``, which leaves out windows that are out of date.

    Only the last window is kept: memory does not grow.

    Args:
        predictor: that answers.
        window_s: of sound that an estimate looks back on.
        hop_s: from one estimate to the next.
        smoothing_s: time in which an estimate before loses all but 1/e of its weight; 0 = none. A pause in which there
            is nothing to estimate ends the memory.
        voice_activity: method that finds the speech; None = the best that is installed.
        clock: gives the time by which lag is measured.

    Raises:
        ConfigError: for a window that the model does not take, or a hop that is not above 0 and within the window.
    """

    def __init__(
        self,
        predictor: Predictor,
        *,
        window_s: float = 3.0,
        hop_s: float = 0.5,
        smoothing_s: float = 1.0,
        voice_activity: VadMethod | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        longest_s = predictor.engine.preprocessing.max_duration_s
        if not _LEAST_SPEECH_S <= window_s <= longest_s:
            raise ConfigError(f"The window is {window_s} s; the model takes {_LEAST_SPEECH_S} to {longest_s:g} s.")
        if not FRAME / SAMPLING_RATE_HZ <= hop_s <= window_s:
            raise ConfigError(f"The hop is {hop_s} s, expected at least 0.032 s and at most the window's {window_s} s.")
        if not 0 <= smoothing_s < math.inf:
            raise ConfigError(f"The smoothing is {smoothing_s} s, expected 0 or more.")
        self.predictor = predictor
        self.window_s, self.hop_s, self.smoothing_s = window_s, hop_s, smoothing_s
        self._clock = clock
        self._detector = speech_detector(voice_activity, frames_at_once=_FRAMES_AT_ONCE)
        self._window, self._hop = (round(seconds * SAMPLING_RATE_HZ) for seconds in (window_s, hop_s))
        self._kept: FloatArray = np.zeros(0, dtype=np.float32)  # the newest samples
        self._stretches: list[Stretch] = []  # of speech, that reach into what is kept
        self._answered = 0  # end of the last window
        self._mono = Mono()
        self._arrived = clock()
        self._smooth: Prediction | None = None
        self._smooth_end = 0

    @property
    def heard_s(self) -> float:
        """Seconds of sound so far."""
        return self._mono.given_s

    def feed(self, samples: NDArray[Any], sampling_rate_hz: int = SAMPLING_RATE_HZ) -> list[Estimate]:
        """Hears a block and answers every window that ends in it.

        Args:
            samples: shape (samples,) or (samples, channels), of which the mean is heard; floats in [-1, 1] or integers.
            sampling_rate_hz: of the samples; it may change from block to block.

        Raises:
            AudioError: for what cannot be sound.
        """
        found: list[Estimate] = []
        self._arrived = self._clock()
        heard = self._mono(samples, sampling_rate_hz)
        while len(heard):
            count = self._answered + self._hop - self._detector.heard
            self._take(heard[:count])
            heard = heard[count:]
            found += self._due()
        return found

    def hear(
        self, samples: NDArray[Any], sampling_rate_hz: int = SAMPLING_RATE_HZ, *, arrived: float | None = None
    ) -> None:
        """Hears a block without answering; ``arrived`` is when its last sample came, by the stream's clock.

        Raises:
            AudioError: for what cannot be sound.
        """
        self._arrived = self._clock() if arrived is None else arrived
        self._take(self._mono(samples, sampling_rate_hz))

    def newest(self) -> Estimate | None:
        """Answers the newest window, unless it is answered already; says how many before it were skipped."""
        return next(iter(self._due()), None)

    def finish(self) -> Estimate | None:
        """Ends the stream and answers its last window, unless less than a frame came since the one before it."""
        self._take(self._mono.finish())
        self._stretches += self._detector.finish()
        end = self._detector.heard
        return None if end - self._answered < FRAME else self._answer(end)

    def _take(self, samples: FloatArray) -> None:
        """Keeps what windows to come will need."""
        self._stretches += self._detector.feed(samples)
        self._kept = np.concatenate([self._kept, samples])[-(self._window + self._hop) :]
        oldest = self._detector.heard - len(self._kept)
        self._stretches = [stretch for stretch in self._stretches if stretch.end > oldest]

    def _due(self) -> list[Estimate]:
        """Estimate of the newest window, if it is not answered yet."""
        end = self._detector.heard // self._hop * self._hop
        return [self._answer(end)] if end > self._answered else []

    def _answer(self, end: int) -> Estimate:
        skipped = max(0, (end - self._answered - 1) // self._hop)
        start = max(0, end - self._window)
        parts = self._speech_between(start, end)
        speech_s = sum(part.length for part in parts) / SAMPLING_RATE_HZ
        prediction = None
        if speech_s >= _LEAST_SPEECH_S:
            prediction = self._smoothed(self._predicted(parts[0].start, parts[-1].end), end)
        self._answered = end
        is_speaking = self._detector.going_on is not None
        end_s = end / SAMPLING_RATE_HZ
        lag_s = max(0.0, self._mono.given_s + self._clock() - self._arrived - end_s)
        return Estimate(start / SAMPLING_RATE_HZ, end_s, speech_s, is_speaking, prediction, lag_s, skipped)

    def _speech_between(self, start: int, end: int) -> list[Stretch]:
        """Speech within a window; what goes on is taken to go on to the end."""
        going_on = self._detector.going_on
        known = [*self._stretches, *([] if going_on is None else [Stretch(going_on.start, end)])]
        parts = (Stretch(max(start, stretch.start), min(end, stretch.end)) for stretch in known)
        return [part for part in parts if part.length > 0]

    def _predicted(self, start: int, end: int) -> Prediction:
        begin = self._detector.heard - len(self._kept)
        samples = self._kept[start - begin : end - begin]
        (row,) = self.predictor.predict_items([Item("window", (samples, SAMPLING_RATE_HZ))]).rows
        return row

    def _smoothed(self, new: Prediction, end: int) -> Prediction:
        """Exponentially weighted mean with the estimates before; one that is out of reach is forgotten."""
        old = self._smooth
        if old is not None and old.error is None and new.error is None and end - self._smooth_end <= self._window:
            passed_s = (end - self._smooth_end) / SAMPLING_RATE_HZ
            kept = math.exp(-passed_s / self.smoothing_s) if self.smoothing_s else 0.0
            new = dataclasses.replace(
                new,
                probabilities=_between(new.probabilities, old.probabilities, kept),
                dimensions=_between(new.dimensions, old.dimensions, kept),
            )
            highest = max(new.probabilities.values(), default=1.0)
            new = dataclasses.replace(new, uncertain=highest < self.predictor.answered_from)
        self._smooth, self._smooth_end = new, end
        return new


def _between(new: Any, old: Any, kept: float) -> dict[str, float]:
    return {name: kept * old[name] + (1 - kept) * value for name, value in cast(dict[str, float], new).items()}
