"""Clips that are longer than what a model was trained on, of which it can be sure and wrong."""

from __future__ import annotations

import logging
from dataclasses import dataclass

_LOG = logging.getLogger(__name__)


@dataclass
class LongClips:
    """Counter of clips that are longer than nearly all that a model was trained on.

    Args:
        training_duration_s: seconds that 99 % of its training clips keep to; None = not known, and none is counted.

    >>> long = LongClips(5.0)
    >>> long.hear("a.wav", 4.0), long.notes
    (None, [])
    >>> long.hear("b.wav", 20.0), long.hear("c.wav", 6.0)
    (None, None)
    >>> long.notes[0].partition(" It")[0]
    "2 utterances are longer than the 5 s that 99 % of the model's training clips keep to; the first is b.wav (20.0 s)."
    """

    training_duration_s: float | None
    count: int = 0
    first: str = ""

    def hear(self, name: str, duration_s: float) -> None:
        """Counts a clip by its name and its length as the model hears it."""
        if self.training_duration_s is None or duration_s <= self.training_duration_s:
            return
        self.count += 1
        self.first = self.first or f"{name} ({duration_s:.1f} s)"

    @property
    def notes(self) -> list[str]:
        """Sentence on how many there were and what to do; none where there were none."""
        if not self.count:
            return []
        are = "utterance is" if self.count == 1 else "utterances are"
        return [
            f"{self.count} {are} longer than the {self.training_duration_s:.3g} s that 99 % of the model's training"
            f" clips keep to; the first is {self.first}. It can be wrong about these, and sure. Let it hear windows:"
            " `emotune timeline`, or `emotune predict --window 2`."
        ]

    def log(self) -> None:
        """Warns of them, for programs."""
        for note in self.notes:
            _LOG.warning("%s", note)
