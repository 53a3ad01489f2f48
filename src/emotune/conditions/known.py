"""Values of conditions that a manifest, or a user's table, knows of its clips."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache

from emotune.conditions import CONDITIONS
from emotune.schema.utterance import COLUMNS, Utterance


@cache
def condition_columns() -> Mapping[str, Callable[[str], str]]:
    """Column of any condition -> what a user's word there means; packages are looked for once."""
    found: dict[str, Callable[[str], str]] = {}
    for name in CONDITIONS:
        condition = CONDITIONS[name]()
        found |= dict.fromkeys(condition.columns, str) | {condition.given: condition.read}
    return found


def known_of(utterance: Utterance) -> dict[str, str]:
    """Column -> value of an utterance's conditions, without those that are unknown."""
    values = {
        column: getattr(utterance, column) if column in COLUMNS else utterance.extra.get(column)
        for column in condition_columns()
    }
    return {column: str(value) for column, value in values.items() if value is not None}
