"""Strict reading of an answer: one of the classes, or nothing; what is not understood is counted, never guessed."""

from __future__ import annotations

import re
from collections.abc import Sequence

from emotune.io.tables import parse_json

UNPARSED = "unparsed"
_LONGEST = 400
_KEYS = ("emotion", "label")
_LABELLED = re.compile(r"^(?:emotion|label|answer)\s*[:=]\s*", re.IGNORECASE)
_FENCED = re.compile(r"```(?:json)?\s*(.*?)\s*```", re.IGNORECASE | re.DOTALL)
_AROUND = " \t\r\n\"'`*_.,;:!()[]<>|"


def parsed(answer: str, classes: Sequence[str]) -> str | None:
    """Reads the class that an answer names; None for anything but one class alone.

    Understood are the word itself, in any case and between quotes, stars or full stops, after ``Emotion:`` too, and
    a JSON object whose ``emotion`` or ``label`` is such a word, between code fences or not. A sentence in which a
    class occurs is not understood: it may deny it.

    >>> parsed("**Anger**.", ["anger", "fear"]), parsed('{"emotion": "fear"}', ["anger", "fear"])
    ('anger', 'fear')
    >>> parsed("It is not anger.", ["anger", "fear"]), parsed("anger or fear", ["anger", "fear"])
    (None, None)
    """
    text = answer.strip()
    if len(text) > _LONGEST:
        return None
    fenced = _FENCED.fullmatch(text)
    text = text if fenced is None else fenced[1]
    if text.startswith("{"):
        try:
            content = parse_json(text)
        except ValueError:
            return None
        named = [content[key] for key in _KEYS if key in content] if isinstance(content, dict) else []
        text = named[0] if len(named) == 1 and isinstance(named[0], str) else ""
    word = _LABELLED.sub("", text.strip(_AROUND)).strip(_AROUND).lower()
    found = [name for name in classes if name.lower() == word]
    return found[0] if len(found) == 1 else None
