"""Windows over speech, cut out of a recording while it is heard."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from emotune.audio import FloatArray
from emotune.audio.voice_activity import RATE_HZ, Speech, Stretch
from emotune.errors import ConfigError
from emotune.timelines.timeline import Track


@dataclass(frozen=True)
class WindowRule:
    """Length of windows, and from the start of one to that of the next, in seconds."""

    window_s: float = 2.0
    hop_s: float = 1.0

    def __post_init__(self) -> None:
        if not 0.1 <= self.window_s <= 3600:
            raise ConfigError(f"The window is {self.window_s:g} s long, expected from 0.1 s to an hour.")
        if not 0.05 <= self.hop_s <= self.window_s:
            raise ConfigError(
                f"The hop is {self.hop_s:g} s, expected from 0.05 s to the window's {self.window_s:g} s: a longer one"
                " would leave speech out."
            )

    @property
    def window(self) -> int:
        """Samples of a window."""
        return round(self.window_s * RATE_HZ)

    @property
    def hop(self) -> int:
        """Samples from the start of one window to that of the next."""
        return round(self.hop_s * RATE_HZ)


def window_rule(window_s: float | None, hop_s: float | None) -> WindowRule:
    """Rule of the lengths that are given; a window that is shorter than the usual hop is its own hop.

    Raises:
        ConfigError: for lengths that cannot be.

    >>> window_rule(None, None), window_rule(0.5, None)
    (WindowRule(window_s=2.0, hop_s=1.0), WindowRule(window_s=0.5, hop_s=0.5))
    """
    window_s = WindowRule.window_s if window_s is None else window_s
    return WindowRule(window_s, min(WindowRule.hop_s, window_s) if hop_s is None else hop_s)


@dataclass(frozen=True)
class Window:
    """Piece of a stretch of speech that a model hears.

    Args:
        start, end: samples of the recording at 16 kHz.
        stretch_start: of the stretch that it is a piece of.
        ends_stretch: whether the stretch ends with it.
        samples: shape (end - start,); a little more before a stretch that is shorter than the model takes.
    """

    start: int
    end: int
    stretch_start: int
    ends_stretch: bool
    samples: FloatArray

    def without_samples(self) -> Window:
        """Place of the window alone, for memory that must not grow."""
        return dataclasses.replace(self, samples=self.samples[:0].copy())


def cut_windows(
    blocks: Iterable[tuple[FloatArray, ...]], cutters: Mapping[Track, WindowCutter]
) -> Iterator[tuple[Track, Window]]:
    """Yields the windows of all voices as they are complete.

    Args:
        blocks: samples of each channel that a voice is on, in the order of the voices, each shape (samples,).
        cutters: of the voices.
    """
    channels = list(dict.fromkeys(track.channel for track in cutters))
    for block in blocks:
        for channel, samples in zip(channels, block, strict=True):
            for track, cutter in cutters.items():
                if track.channel == channel:
                    yield from ((track, window) for window in cutter.feed(samples))
    for track, cutter in cutters.items():
        yield from ((track, window) for window in cutter.finish())


class WindowCutter:
    """Cuts the windows of one channel or speaker, fed with samples in blocks of any size.

    In a stretch of speech a window begins every hop; one that the stretch outlasts by less than half a hop is left to
    the last one, which ends where the stretch ends. A stretch that is no longer than a window is one window.

    Args:
        rule: the lengths.
        speech: finds the stretches; it must not have heard anything yet.
        least: samples that the model needs.
    """

    def __init__(self, rule: WindowRule, speech: Speech, *, least: int = 0) -> None:
        self.rule = rule
        self.speech = speech
        self._least = least
        self._kept: FloatArray = np.zeros(0, dtype=np.float32)
        self._kept_from = 0
        self._stretch: int | None = None  # start of the stretch that is being cut
        self._next = 0  # start of its next window

    def feed(self, samples: FloatArray) -> list[Window]:
        """Hears a block, shape (samples,), and gives the windows that are complete, in their order."""
        self._kept = np.concatenate([self._kept, samples])
        windows = [window for stretch in self.speech.feed(samples) for window in self._ended(stretch)]
        if (going_on := self.speech.going_on) is not None:
            windows += self._complete(going_on)
        self._forget()
        return windows

    def finish(self) -> list[Window]:
        """Gives the windows that are left at the end of the recording."""
        return [window for stretch in self.speech.finish() for window in self._ended(stretch)]

    def _complete(self, stretch: Stretch) -> list[Window]:
        """Windows that the stretch outlasts by half a hop."""
        if self._stretch != stretch.start:
            self._stretch = self._next = stretch.start
        windows: list[Window] = []
        while self._next + self.rule.window + self.rule.hop // 2 <= stretch.end:
            windows.append(self._window(stretch.start, self._next, self._next + self.rule.window, ends=False))
            self._next += self.rule.hop
        return windows

    def _ended(self, stretch: Stretch) -> list[Window]:
        windows = self._complete(stretch)
        last = max(stretch.start, stretch.end - self.rule.window)
        self._stretch = None
        return [*windows, self._window(stretch.start, last, stretch.end, ends=True)]

    def _window(self, stretch_start: int, start: int, end: int, *, ends: bool) -> Window:
        heard_from = max(self._kept_from, min(start, end - self._least))
        samples = self._kept[heard_from - self._kept_from : end - self._kept_from].copy()
        return Window(start, end, stretch_start, ends, samples)

    def _forget(self) -> None:
        """Drops samples that no window will need: the last one may begin a little before the next regular one."""
        needed = self.speech.needed_from
        if self._stretch is not None and needed <= self._stretch:
            needed = max(self._stretch, self._next - self.rule.hop)
        needed = max(self._kept_from, min(needed, self.speech.heard) - self._least)
        self._kept = self._kept[needed - self._kept_from :].copy()
        self._kept_from = needed
