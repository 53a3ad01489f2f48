"""Kinds of reasons for which files and rows were left out, each counted once, whatever file, row and value it names."""

from __future__ import annotations

import re
from collections.abc import Iterable

from emotune.schema.manifest import Skipped

_PARTICULARS = re.compile(r"'[^']*'|\S*/\S*|\d+(?:\.\d+)?")


def reason_counts(skipped: Iterable[Skipped]) -> list[tuple[int, str]]:
    """Counts what was left out by kind of reason, the most frequent first, with the first one's words.

    >>> reason_counts([Skipped("a.wav", "x/a.wav does not exist."), Skipped("b.wav", "x/b.wav does not exist.")])
    [(2, 'such as: x/a.wav does not exist.')]
    """
    kinds: dict[str, list[str]] = {}
    for item in skipped:
        kinds.setdefault(_PARTICULARS.sub("*", item.reason.replace(item.file, "*")), []).append(item.reason)
    counts = [
        (len(reasons), reasons[0] if len(set(reasons)) == 1 else f"such as: {reasons[0]}") for reasons in kinds.values()
    ]
    return sorted(counts, key=lambda pair: -pair[0])
