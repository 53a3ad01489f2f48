"""Figures of pages that are not drawn: it takes longer than to train and score a tiny model."""

from __future__ import annotations

from typing import Any, TextIO


class Blank:
    """Stands for any part of a figure, takes whatever is asked of it, and draws nothing."""

    __iter__ = None

    def __getattr__(self, name: str) -> Blank:
        return self

    def __getitem__(self, key: object) -> Blank:
        return self

    def __call__(self, *arguments: object, **options: object) -> Blank:
        return self


class BlankFigure(Blank):
    """Stands for a figure of matplotlib, and is written as an empty picture of its size."""

    def __init__(self, *, figsize: tuple[float, float], **options: Any) -> None:
        self._size = figsize

    def subplots(self, rows: int = 1, columns: int = 1, **options: Any) -> Blank | list[Blank]:
        return Blank() if rows * columns == 1 else [Blank() for _ in range(rows * columns)]

    def savefig(self, stream: TextIO, **options: Any) -> None:
        width, height = (72 * inches for inches in self._size)
        stream.write(f'<svg viewBox="0 0 {width} {height}"></svg>')
