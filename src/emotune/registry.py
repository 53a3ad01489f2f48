"""One small table class for every family of parts: explicit names, suggestions, entry points."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Generic, TypeVar

from emotune.errors import ConfigError

Entry = TypeVar("Entry")


def unknown_name_message(kind: str, name: object, known: Iterable[str]) -> str:
    """The one wording for a name that does not exist: what it was, the likely intent, what there is."""
    names = sorted(known)
    close = difflib.get_close_matches(str(name), names, n=1, cutoff=0.6)
    suggestion = f", did you mean '{close[0]}'?" if close else "."
    return f"Unknown {kind} '{name}'{suggestion} Known: {', '.join(names)}."


class Registry(Mapping[str, Entry], Generic[Entry]):
    """A family's table of names. Third parties add entries with the entry-point group ``emotune.<kind>``.

    >>> colours = Registry("colour", {"red": 1})
    >>> colours["red"]
    1
    >>> colours["rad"]
    Traceback (most recent call last):
    emotune.errors.ConfigError: Unknown colour 'rad', did you mean 'red'? Known: red.
    """

    def __init__(self, kind: str, entries: Mapping[str, Entry]) -> None:
        self.kind = kind
        self._own = dict(entries)

    def _third_party(self) -> dict[str, EntryPoint]:
        group = f"emotune.{self.kind.replace(' ', '_')}"
        return {point.name: point for point in entry_points(group=group) if point.name not in self._own}

    def __getitem__(self, name: str) -> Entry:
        if name in self._own:
            return self._own[name]
        others = self._third_party()
        if name not in others:
            raise ConfigError(unknown_name_message(self.kind, name, [*self._own, *others]))
        try:
            return others[name].load()
        except (ImportError, AttributeError) as error:
            raise ConfigError(
                f"The {self.kind} '{name}' comes from another package ({others[name].value}), which cannot be loaded:"
                f" {error}. Install that package again, or remove it."
            ) from error

    def __contains__(self, name: object) -> bool:
        return name in self._own or name in self._third_party()

    def __iter__(self) -> Iterator[str]:
        return iter([*self._own, *self._third_party()])

    def __len__(self) -> int:
        return len([*self._own, *self._third_party()])
