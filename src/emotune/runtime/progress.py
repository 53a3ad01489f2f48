"""How long work tells that it goes on, without printing: callers hand in a function that wraps the work."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol, TypeVar

Item = TypeVar("Item")


class Progress(Protocol):
    """Wraps an iterable of ``total`` items and shows how far it is, under a short ``title``."""

    def __call__(self, items: Iterable[Item], *, total: int, title: str) -> Iterator[Item]: ...


def silent(items: Iterable[Item], *, total: int, title: str) -> Iterator[Item]:
    """No display: the default of every library function."""
    yield from items
