"""JSON that is not nested deeper than anyone writes."""

from __future__ import annotations

import json
from typing import Any

MOST_LEVELS = 100
"""Of lists and mappings in each other, in a file: what walks through them afterwards must reach the innermost."""


def parse_json(text: str) -> Any:
    """Data in a JSON text.

    Raises:
        ValueError: for what is no JSON, or nested deeper than ``MOST_LEVELS``.
    """
    try:
        data = json.loads(text)
        if nesting(data) <= MOST_LEVELS:
            return data
    except RecursionError:
        pass
    raise ValueError(f"it is nested deeper than {MOST_LEVELS} levels")


def nesting(data: object) -> int:
    """Levels of lists and mappings in each other.

    >>> nesting(1), nesting([]), nesting({"a": [1, {}]})
    (0, 1, 3)
    """
    levels, inner = 0, [data]
    while inner := [item for item in inner if isinstance(item, dict | list)]:
        levels += 1
        inner = [child for item in inner for child in (item.values() if isinstance(item, dict) else item)]
    return levels
