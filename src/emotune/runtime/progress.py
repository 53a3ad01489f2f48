"""Progress of long work, without printing: callers pass a function that wraps the work."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol, TypeVar

Item = TypeVar("Item")


class Progress(Protocol):
    """Wraps an iterable of ``total`` items and shows how far it is, under a short ``title``."""

    def __call__(self, items: Iterable[Item], *, total: int, title: str) -> Iterator[Item]:
        """Yields the items and shows the progress."""
        ...


def silent(items: Iterable[Item], *, total: int, title: str) -> Iterator[Item]:
    """No display: the default of every library function."""
    yield from items
