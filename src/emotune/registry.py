"""Tables of names, one for each family of parts: resolved when used, open to other packages by entry points."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from emotune.errors import ConfigError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

Entry = TypeVar("Entry")


_LISTED = 20
"""names beside a likely one: more of them hide it"""


def unknown_name_message(kind: str, name: object, known: Iterable[str]) -> str:
    """The one wording for a name that does not exist: what it was, the likely intent, what there is."""
    names = sorted(known)
    close = difflib.get_close_matches(str(name), names, n=1, cutoff=0.6)
    suggestion = f", did you mean '{close[0]}'?" if close else "."
    listed = "" if close and len(names) > _LISTED else f" Known: {', '.join(names)}."
    return f"Unknown {kind} '{name}'{suggestion}{listed}"


class Registry(Mapping[str, Entry], Generic[Entry]):
    """A family's table: name -> ``"module:attribute"``, or that and the ``"module:Options"`` of its own options.

    A family whose entries are light may hold the entries themselves.

    Nothing is imported to list names or to ask whether one is known. Options are a ``Section``, in a module that
    imports nothing heavy. Other packages add entries with the entry-point group ``emotune.<kind>``, and options for
    them with the group ``emotune.<kind>.options``, under the same name.

    Args:
        kind: what an entry is, in words.
        entries: name -> place, (place, place of its options), or the entry itself.
        extra: the extra of emotune that installs what the entries need, of all or by name, if one does.

    >>> constants = Registry("constant", {"pi": "math:pi"})
    >>> round(constants["pi"], 2)
    3.14
    >>> constants["pie"]
    Traceback (most recent call last):
    emotune.errors.ConfigError: Unknown constant 'pie', did you mean 'pi'? Known: pi.
    """

    def __init__(
        self,
        kind: str,
        entries: Mapping[str, str | tuple[str, str] | Entry],
        *,
        extra: str | Mapping[str, str] | None = None,
    ) -> None:
        self.kind = kind
        self._own = dict(entries)
        self._extra = extra

    def __getitem__(self, name: str) -> Entry:
        """The entry itself, imported now.

        Raises:
            ConfigError: for an unknown name, or where what it needs is not installed.
        """
        if name in self._own:
            own = self._own[name]
            place = own[0] if isinstance(own, tuple) else own
            return self._imported(name, place) if isinstance(place, str) else cast(Entry, place)
        return self._imported_from_others(name, self._added()[self._known(name)])

    def options(self, name: str) -> Any:
        """The section of an entry's own options; None where it has none.

        Raises:
            ConfigError: for an unknown name, or a package of others that cannot be loaded.
        """
        if name in self._own:
            own = self._own[name]
            return self._imported(name, own[1]) if isinstance(own, tuple) else None
        point = self._added(".options").get(self._known(name))
        return None if point is None else self._imported_from_others(name, point)

    @property
    def own(self) -> tuple[str, ...]:
        """The names that come with emotune."""
        return tuple(self._own)

    def make(self, choice: str | Mapping[str, Any], *arguments: Any, **options: Any) -> Any:
        """Calls an entry: one of that name, or ``{name: ..., **options}`` with options of its own.

        Raises:
            ConfigError: for an unknown name, or an option that the entry does not take.
        """
        own = {"name": choice} if isinstance(choice, str) else dict(choice)
        if "name" not in own:
            raise ConfigError(f"A {self.kind} lacks its name. Known: {', '.join(sorted(self))}.")
        name = str(own.pop("name"))
        made: Any = self[name]
        if not own:
            return made(*arguments, **options)
        try:
            return made(*arguments, **options, **own)
        except TypeError as error:
            raise ConfigError(f"The {self.kind} '{name}' cannot be built with {', '.join(own)}: {error}.") from error

    def __contains__(self, name: object) -> bool:
        return name in self._own or name in self._added()

    def __iter__(self) -> Iterator[str]:
        return iter([*self._own, *self._added()])

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def _known(self, name: str) -> str:
        if name not in self:
            raise ConfigError(unknown_name_message(self.kind, name, self))
        return name

    def _added(self, of: str = "") -> dict[str, EntryPoint]:
        from importlib.metadata import entry_points  # noqa: PLC0415 (reads mail headers: slow to import)

        group = f"emotune.{self.kind.replace(' ', '_')}{of}"
        return {point.name: point for point in entry_points(group=group) if point.name not in self._own}

    def _imported(self, name: str, place: str) -> Any:
        try:
            return resolve_name(place)
        except ModuleNotFoundError as error:
            extra = self._extra.get(name) if isinstance(self._extra, Mapping) else self._extra
            if extra is None or (error.name or "").startswith("emotune"):
                raise
            raise ConfigError(
                f"The {self.kind} '{name}' needs '{error.name}', which is not installed:"
                f" pip install 'emotune[{extra}]'."
            ) from error

    def _imported_from_others(self, name: str, point: EntryPoint) -> Any:
        try:
            return point.load()
        except (ImportError, AttributeError) as error:
            raise ConfigError(
                f"The {self.kind} '{name}' comes from another package ({point.value}), which cannot be loaded:"
                f" {error}. Install that package again, or remove it."
            ) from error
