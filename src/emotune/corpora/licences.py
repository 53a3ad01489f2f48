"""Licences of several corpora read together: the conditions that each puts on what is made of its recordings."""

from __future__ import annotations

import re
from collections.abc import Mapping

_CONDITIONS = {
    "unknown": r"unknown",
    "research only": r"research",
    "no redistribution": r"no redistribution",
    "no derivatives": r"\bND\b|no derivatives",
    "non-commercial": r"\bNC\b|non-?commercial",
    "share alike": r"\bSA\b|share.?alike|ODbL|GPL",
    "attribution": r"\bBY\b|attribution|ODbL|MIT|Apache|BSD",
}
"""Condition, the strictest first -> the words by which a licence states it."""
_FREE = r"CC0|public domain|DbCL"
OWN_TERMS = "terms of its own"


def conditions_of(licence: str) -> tuple[str, ...]:
    """Conditions that the name of a licence states, the strictest first.

    >>> conditions_of("CC BY-NC-SA 4.0"), conditions_of("CC0"), conditions_of("EULA of Acme")
    (('non-commercial', 'share alike', 'attribution'), (), ('terms of its own',))
    """
    found = [name for name, words in _CONDITIONS.items() if re.search(words, licence, re.IGNORECASE)]
    if not found and not re.search(_FREE, licence, re.IGNORECASE):
        return (OWN_TERMS,)
    return ("unknown",) if "unknown" in found else tuple(found)


def strictest_rule(licences: Mapping[str, str]) -> str:
    """All conditions of several licences, the strictest first, each with the corpora that ask for it.

    >>> strictest_rule({"a": "CC BY 4.0", "b": "CC BY-NC 4.0"})
    'non-commercial (b), attribution (a, b)'
    """
    askers: dict[str, list[str]] = {name: [] for name in ("unknown", OWN_TERMS, *_CONDITIONS)}
    for corpus, licence in licences.items():
        for condition in conditions_of(licence):
            askers[condition].append(corpus)
    rules = [f"{condition} ({', '.join(corpora)})" for condition, corpora in askers.items() if corpora]
    return ", ".join(rules) or "no conditions"
