"""Secondary votes: how many annotators named a class beside their main one, in columns ``secondary.<class>``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from emotune.io.cells import number_or_none
from emotune.schema.utterance import Utterance

SECONDARY = "secondary."


def secondary_votes(utterance: Utterance) -> dict[str, float]:
    """Secondary votes of an utterance by class, without those of nobody.

    Raises:
        TableError: for a cell that is no number.
    """
    counts = _counts(utterance.extra, utterance.utterance_id)
    return {name: count for name, count in counts.items() if count}


def with_secondary_changed(
    extra: Mapping[str, Any], change: Callable[[Mapping[str, float]], Mapping[str, float]], where: str
) -> Mapping[str, Any]:
    """Further columns of an utterance with its secondary votes changed.

    Raises:
        TableError: for a cell that is no number, at ``where``.
    """
    if not any(name.startswith(SECONDARY) for name in extra):
        return extra
    others = {name: value for name, value in extra.items() if not name.startswith(SECONDARY)}
    changed = change(_counts(extra, where))
    return others | {SECONDARY + name: str(count) if count else None for name, count in changed.items()}


def _counts(extra: Mapping[str, Any], where: str) -> dict[str, float]:
    return {
        name.removeprefix(SECONDARY): number_or_none(value, f"{where}, {name}") or 0.0
        for name, value in extra.items()
        if name.startswith(SECONDARY)
    }
