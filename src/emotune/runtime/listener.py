"""Listener: one protocol by which long work tells how it goes, without printing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]
"""An epoch's figures by name."""


class Listener:
    """Hears how training, prediction or a study goes. By itself it ignores everything; override what is of interest."""

    def say(self, message: str) -> None:
        """A line for people."""

    def step(self, done: int, total: int, figures: Mapping[str, float]) -> None:
        """An optimiser step: how many are done, of how many, and its loss, gradient norm and learning rate."""

    def scoring(self, done: int, total: int) -> None:
        """A development clip was predicted, between two epochs: how many are, of how many of this process."""

    def continues(self, rows: Sequence[Row]) -> None:
        """Training goes on after an interruption; the rows are those of all epochs before it."""

    def started(self, row: Row) -> None:
        """Weights were scored before the first step, since they are kept where no epoch is better."""

    def epoch(self, rows: Sequence[Row]) -> None:
        """An epoch was scored; the rows are those of all epochs so far, it is the last."""


class Listeners(Listener):
    """Several listeners that hear the same, in their order."""

    def __init__(self, *listeners: Listener) -> None:
        self.listeners = listeners

    def say(self, message: str) -> None:
        """Passes it on."""
        for listener in self.listeners:
            listener.say(message)

    def step(self, done: int, total: int, figures: Mapping[str, float]) -> None:
        """Passes it on."""
        for listener in self.listeners:
            listener.step(done, total, figures)

    def scoring(self, done: int, total: int) -> None:
        """Passes it on."""
        for listener in self.listeners:
            listener.scoring(done, total)

    def continues(self, rows: Sequence[Row]) -> None:
        """Passes it on."""
        for listener in self.listeners:
            listener.continues(rows)

    def started(self, row: Row) -> None:
        """Passes it on."""
        for listener in self.listeners:
            listener.started(row)

    def epoch(self, rows: Sequence[Row]) -> None:
        """Passes it on."""
        for listener in self.listeners:
            listener.epoch(rows)


class WarningsOnce(Listeners):
    """Passes everything on, but each warning only once, however many runs repeat it."""

    def __init__(self, *listeners: Listener) -> None:
        super().__init__(*listeners)
        self.warned: set[str] = set()

    def say(self, message: str) -> None:
        """Passes it on, unless it is a warning that was passed on before."""
        if message.startswith("warning:"):
            if message in self.warned:
                return
            self.warned.add(message)
        super().say(message)
