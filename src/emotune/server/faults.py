"""Words for what pydantic refuses: what was expected, and what came."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

_LONGEST = 100
_WORDS: Mapping[str, str] = {
    "greater_than": "more than {gt:g}",
    "greater_than_equal": "at least {ge:g}",
    "less_than": "less than {lt:g}",
    "less_than_equal": "at most {le:g}",
    "string_pattern_mismatch": "mix, each or the number of a channel",  # no other option has a pattern
    "literal_error": "{expected}",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
}
"""Type of a fault -> what was expected, with fields of its context."""


def words_of(fault: Mapping[str, Any], known: Iterable[str] = ()) -> str:
    """Sentence without its end about one fault.

    Args:
        fault: one of ``ValidationError.errors()``.
        known: names of the options that there are.
    """
    given = str(fault.get("input"))[:_LONGEST]
    if fault["type"] == "extra_forbidden":
        return _unknown(str(fault["loc"][-1])[:_LONGEST], sorted(known))
    if given == "nan":
        return "expected a number, not 'nan'"
    if fault["type"] in _WORDS:
        return f"expected {_WORDS[fault['type']].format(**fault.get('ctx', {}))}, not '{given}'"
    return str(fault["msg"]).removeprefix("Value error, ")


def _unknown(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    suggestion = f", did you mean '{close[0]}'?" if close else "."
    return f"there is no option '{name}'{suggestion} Known: {', '.join(known)}"
