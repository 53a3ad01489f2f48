"""Parts of a recipe that come from a registry: an entry by name with its options, and sections that others add keys to.

Both take entries of other packages, whose options are checked as our own are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, cast

from pydantic import ConfigDict, GetCoreSchemaHandler, ValidationError, create_model, model_validator
from pydantic.fields import FieldInfo
from pydantic_core import CoreSchema, InitErrorDetails, PydanticCustomError, core_schema

from emotune.errors import ConfigError
from emotune.registry import Registry, unknown_name_message
from emotune.section import Section


class EntrySection(Section):
    """An entry of a registry by its name; the section of a recipe has the entry's own options beside it."""

    name: str
    """which entry"""

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickles the entry by its options: its class is made when a recipe is read, and stands in no module."""
        options = type(self).__bases__[0]
        return _entry_again, (None if issubclass(options, EntrySection) else options, dict(self))


def _section_with(options: type[Section] | None) -> type[EntrySection]:
    bases = EntrySection if options is None else (options, EntrySection)
    return cast("type[EntrySection]", create_model("Entry", __base__=bases))


def _entry_again(options: type[Section] | None, values: Mapping[str, Any]) -> EntrySection:
    return _section_with(options).model_validate(values)


def by_name(choice: str | EntrySection) -> str | dict[str, Any]:
    """A choice as ``Registry.make`` takes it."""
    return choice if isinstance(choice, str) else choice.model_dump()


@dataclass(frozen=True, eq=False)
class Chosen:
    """Annotation of a key that chooses an entry: its name, or ``{name: ..., **options}``.

    Args:
        registry: of the entries.
        beside: further names that may be chosen.
        example: such a section; where there is one, a bare name is refused, and null is no choice.
    """

    registry: Registry[Any]
    beside: tuple[str, ...] = ()
    example: str | None = None

    @property
    def names(self) -> list[str]:
        """All names that the key may hold."""
        return [*self.registry, *self.beside]

    def section(self, name: str) -> type[EntrySection]:
        """The section of an entry: its name and its options."""
        return _section_with(self.registry.options(name) if name in self.registry else None)

    def _read(self, value: Any) -> str | EntrySection | None:
        if isinstance(value, EntrySection) or (value is None and self.example is not None):
            return value
        if isinstance(value, str) and self.example is None:
            if value not in self.beside and value not in self.registry:
                raise ValueError(unknown_name_message(self.registry.kind, value, self.names))
            return value
        if not isinstance(value, Mapping):
            raise _fault("expected " + (f"a section such as {self.example}" if self.example else "a name"), value)
        if "name" not in value:
            raise _fault(f"is missing. Known: {', '.join(sorted(self.names))}", value, "name")
        name = str(value["name"])
        if name not in self.beside and name not in self.registry:
            raise _fault(unknown_name_message(self.registry.kind, name, self.names), value, "name")
        return self.section(name).model_validate(value)

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self._read)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: Any) -> dict[str, Any]:
        with_options = [name for name in self.registry if self.registry.options(name) is not None]
        sections = [handler(self.section(name).__pydantic_core_schema__) for name in with_options]
        names = sorted(self.names) if self.example is None else self.names
        return {
            "choices": names,
            "with_options": with_options,
            "optional": self.example is not None,
            "oneOf": sections,
        }


def _fault(message: str, value: object, *place: str) -> ValidationError:
    kind = "value_error" if place else "expected_section"
    details = InitErrorDetails(type=PydanticCustomError(kind, "{text}", {"text": message}), loc=place, input=value)
    return ValidationError.from_exception_data("choice", [details])


class OpenSection(Section):
    """A section to which other packages add keys, by an entry of ``entries`` and its options.

    Keys of others are there where they are given, so that a recipe which does without them needs no other package.
    """

    model_config = ConfigDict(extra="allow")
    entries: ClassVar[Registry[Any]]
    least: ClassVar[type[Section]]
    """what the options of an entry are a subclass of, and all the options of an entry that has none of its own"""

    @classmethod
    def options_of(cls, name: str) -> type[Section]:
        """The options of an entry of another package.

        Raises:
            ConfigError: for options of another kind.
        """
        options = cls.entries.options(name) or cls.least
        if not issubclass(options, cls.least):
            raise ConfigError(
                f"The options of the {cls.entries.kind} '{name}', {options.__module__}.{options.__name__}, are no"
                f" subclass of {cls.least.__module__}.{cls.least.__name__}; tell the makers of that package."
            )
        return options

    @classmethod
    def with_keys(cls, names: Iterable[str]) -> type[Section]:
        """The section, closed, with the keys of some entries of other packages."""
        fields: dict[str, Any] = {
            name: (field.annotation, FieldInfo.merge_field_infos(field, description=field.description))
            for name, field in cls.model_fields.items()
        }
        for name in names:
            fields[name] = (cls.options_of(name) | None, FieldInfo(default=None, description=cls._about(name)))
        return create_model(cls.__name__, __base__=Section, **fields)

    @classmethod
    def others(cls) -> list[str]:
        """The entries without a field here: those of other packages, and ours that have options of their own."""
        named = [name for name in cls.entries if name not in cls.model_fields]
        return [name for name in named if name not in cls.entries.own or cls.entries.options(name) is not None]

    @classmethod
    def _about(cls, name: str) -> str:
        return " ".join((cls.options_of(name).__doc__ or "").split())

    @model_validator(mode="before")
    @classmethod
    def _with_entries_of_others(cls, value: Any) -> Any:
        if not isinstance(value, Mapping) or all(name in cls.model_fields for name in value):
            return value
        others = cls.others()
        given = [name for name in value if name not in cls.model_fields and name in others]
        try:
            section = cls.with_keys(given)
        except ConfigError as error:
            raise ValueError(str(error)) from error
        return {name: part for name, part in section.model_validate(value) if part is not None or name not in given}

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: Any) -> dict[str, Any]:
        return handler(cls.with_keys(cls.others()).__pydantic_core_schema__)
