"""Estimates of a live source: the newest first, whatever the model's speed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from emotune.audio.live import Inbox, Source
from emotune.inference.stream import NO_SPEECH, Estimate, Stream
from emotune.runtime.listener import Listener

STALLED_AFTER_S = 2.0


class Summary:
    """Totals over the estimates of a stream."""

    def __init__(self) -> None:
        self.estimates = self.skipped = 0
        self.emotions = Counter[str]()
        """Estimates by emotion, ``uncertain`` and ``no speech`` among them."""
        self.heard_s = self.lost_s = 0.0
        self.longest_lag_s = 0.0
        self._lags_s = 0.0

    @property
    def mean_lag_s(self) -> float:
        """Mean lag of the estimates in seconds; NaN without any."""
        return self._lags_s / self.estimates if self.estimates else float("nan")

    def add(self, estimate: Estimate) -> None:
        """Counts an estimate."""
        self.estimates += 1
        self.skipped += estimate.skipped
        self.emotions[estimate.emotion or "dimensions"] += 1
        self._lags_s += estimate.lag_s
        self.longest_lag_s = max(self.longest_lag_s, estimate.lag_s)

    def text(self) -> str:
        """One line for people."""
        if not self.estimates:
            return f"{self.heard_s:.1f} s heard, no estimate"
        named = ", ".join(
            f"{name} {count / self.estimates:.0%}"
            for name, count in sorted(self.emotions.items(), key=lambda pair: (pair[0] == NO_SPEECH, -pair[1]))
        )
        text = f"{self.heard_s:.1f} s heard, {self.estimates} estimates: {named}"
        text += f"; lag {self.mean_lag_s:.2f} s in the mean, {self.longest_lag_s:.2f} s at most"
        if self.skipped:
            text += f"; {self.skipped} windows skipped"
        return text if not self.lost_s else f"{text}; {self.lost_s:.1f} s of sound lost"


def listen(
    stream: Stream, source: Source, *, summary: Summary | None = None, listener: Listener | None = None
) -> Iterator[Estimate]:
    """Yields the newest estimate of a live source, again and again until it ends.

    What is heard while an estimate is computed or used is not answered window by window: the next estimate is of the
    newest window, and says how many it skipped. So the lag stays within one computation and one hop.

    Args:
        stream: hears and answers.
        source: of the sound.
        summary: counts the estimates.
        listener: told when no sound comes for a while, and when it comes again.

    Raises:
        EmotuneError: for a source that cannot be read, or gives what is no sound.
    """
    told, listener, inbox = summary or Summary(), listener or Listener(), Inbox()
    is_stalled = False
    with source.into(inbox):
        while (blocks := inbox.take(STALLED_AFTER_S)) is not None:
            if not blocks:
                if not is_stalled:
                    listener.say(f"warning: no sound has come for {STALLED_AFTER_S:g} s; still listening")
                is_stalled = True
                continue
            if is_stalled:
                listener.say("sound comes again")
            is_stalled = False
            for block in blocks:
                stream.hear(block.samples, block.sampling_rate_hz, arrived=block.arrived)
            told.heard_s, told.lost_s = stream.heard_s, inbox.lost_s
            estimate = stream.newest()
            if estimate is not None:
                told.add(estimate)
                yield estimate
    last = stream.finish()
    if last is not None:
        told.add(last)
        yield last
