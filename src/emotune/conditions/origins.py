"""Origins of the values that a model was given: asked for by the user, told by tables, counted in reports."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from emotune.conditions import CONDITIONS
from emotune.conditions.sources import UNKNOWN, WRONG
from emotune.errors import ConfigError
from emotune.registry import unknown_name_message


def used_text(used: Mapping[str, str]) -> str | None:
    """Text of a table's column ``conditions_used``; None for a model without conditions.

    >>> used_text({"gender": "given", "text": "unknown"})
    'gender=given text=unknown'
    """
    return " ".join(f"{name}={origin}" for name, origin in used.items()) or None


def origins_used(used: Iterable[str | None]) -> dict[str, dict[str, int]]:
    """Condition -> where its values came from -> in how many rows.

    >>> origins_used(["gender=given", "gender=given", "gender=unknown", None])
    {'gender': {'given': 2, 'unknown': 1}}
    """
    counts: dict[str, Counter[str]] = {}
    for text in used:
        for pair in (text or "").split():
            name, _, origin = pair.partition("=")
            counts.setdefault(name, Counter())[origin] += 1
    return {name: dict(of_one) for name, of_one in counts.items()}


def unknown_though_asked(asked: Mapping[str, str], used: Iterable[str | None]) -> list[str]:
    """A warning for each condition that was asked for and that some rows had to do without.

    >>> unknown_though_asked({"gender": "wrong"}, ["gender=unknown", "gender=wrong"])
    ['--condition gender=wrong: no gender is given for 1 of 2 recordings, so the model was told that it is unknown']
    """
    counts = origins_used(used) if asked else {}
    return [
        f"--condition {name}={source}: no {name} is {'given' if source == WRONG else 'known'} for"
        f" {counts[name][UNKNOWN]} of {sum(counts[name].values())} recordings, so the model was told that it is unknown"
        for name, source in asked.items()
        if source != UNKNOWN and UNKNOWN in counts.get(name, {})
    ]


def asked_notes(asked: Mapping[str, str], used: Iterable[str | None]) -> list[str]:
    """A sentence for each condition that was asked for, so that nobody takes the figures for the model's usual ones.

    >>> asked_notes({"gender": "unknown"}, ["gender=unknown"])
    ['Scored with --condition gender=unknown (nothing, as where neither is there): unknown for 1 of 1 utterances.']
    """
    counts = origins_used(used)
    return [
        f"Scored with --condition {name}={source} ({CONDITIONS[name]().sources[source]}): "
        + ", ".join(f"{origin} for {count}" for origin, count in counts[name].items())
        + f" of {sum(counts[name].values())} utterances."
        for name, source in asked.items()
        if name in counts
    ]


def check_sources(sources: Mapping[str, str], conditions: Sequence[str]) -> None:
    """See that a user asks for conditions and sources that there are.

    Raises:
        ConfigError: for a condition that the model does not take, or a source that the condition does not have.
    """
    for name, source in sources.items():
        if name not in conditions:
            known = ", ".join(conditions) or "none"
            raise ConfigError(f"Condition '{name}': this model takes {known}.")
        own = CONDITIONS[name]().sources
        if source in own:
            continue
        others = [other for other in CONDITIONS if source in CONDITIONS[other]().sources]
        if others:
            raise ConfigError(f"Condition '{name}': only {', '.join(others)} can be '{source}'.")
        raise ConfigError(f"Condition '{name}': {unknown_name_message('source', source, own)}")
