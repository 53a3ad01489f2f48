"""Messages of faults: the place in the recipe, what was expected there, and the likely cure."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping, Sequence
from typing import Any, get_args

from pydantic import ValidationError

from emotune.config.entries import Chosen, OpenSection
from emotune.registry import unknown_name_message
from emotune.section import Section

_SHORT = reprlib.Repr()  # an input can be as long as a file
_SHORT.maxstring = _SHORT.maxother = 120
_SHORT.maxlevel = 3


def shortened(value: object) -> str:
    """A value as Python writes it, cut where it is long."""
    return _SHORT.repr(value)


def faults(error: ValidationError, section: type[Section], data: Mapping[str, Any]) -> list[str]:
    """Every fault of data that were read as a section, each with its path."""
    return [_fault(item, section, data) for item in error.errors()]


def _fault(item: Mapping[str, Any], section: type[Section], data: Mapping[str, Any]) -> str:
    location = [str(part) for part in item["loc"] if str(part) not in ("literal['all','none']", "constrained-int")]
    path = ".".join(location) or section.__name__.lower()
    message = item["msg"].removeprefix("Value error, ")
    if item["type"] == "extra_forbidden":
        return f"{path}: " + unknown_name_message("key", location[-1], _keys_at(location[:-1], section, data))
    if item["type"] == "missing":
        return f"{path}: is missing"
    if item["type"] == "value_error":
        return f"{path}: {message}"
    if item["type"] == "model_type":
        keys = [key for key in _keys_at(location, section, data) if key != "name"] or ["name"]
        message = f"expected a section with keys such as {', '.join(keys[:3])}"
    given = item["input"]
    cure = ""
    if item["type"] == "string_type" and isinstance(given, int | float):
        cure = f'; quote it to make it text: "{given}"'
    return f"{path}: {message[0].lower()}{message[1:]}, got {shortened(given)}{cure}"


def _keys_at(location: Sequence[str], whole: type[Section], data: Any) -> list[str]:
    """The keys that the section at a place may have."""
    section: Any = whole
    for part in location:
        data = data[int(part) if part.isdigit() and isinstance(data, list) else part] if data else None
        if part.isdigit():  # of a list of sections
            continue
        section = _section_in(section, part, data)
        if section is None:
            return []
    keys = [field.alias or name for name, field in section.model_fields.items()]
    return [*keys, *section.others()] if issubclass(section, OpenSection) else keys


def _section_in(section: type[Section], key: str, data: Any) -> type[Section] | None:
    field = section.model_fields.get(key)
    if field is None:
        return section.options_of(key) if issubclass(section, OpenSection) and key in section.others() else None
    chosen = next((one for one in field.metadata if isinstance(one, Chosen)), None)
    if chosen is not None:
        return chosen.section(str(data["name"])) if isinstance(data, dict) and "name" in data else None
    return field.annotation if isinstance(field.annotation, type) else get_args(field.annotation)[0]
