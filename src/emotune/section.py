"""Sections: groups of options that are checked by their types, in a recipe or beside the part that they configure."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    GetCoreSchemaHandler,
    ValidationInfo,
    field_validator,
)
from pydantic_core import CoreSchema, core_schema

from emotune.registry import unknown_name_message


class Section(BaseModel):
    """A group of options: no unknown keys, no infinite numbers, no true or false for a number; fixed after reading."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        allow_inf_nan=False,
        use_attribute_docstrings=True,
        defer_build=True,  # a third of the time to read a recipe: most sections are never used by themselves
    )

    @field_validator("*", mode="before")
    @classmethod
    def _no_truth_for_numbers(cls, value: object, info: ValidationInfo) -> object:
        annotation = cls.model_fields[info.field_name or ""].annotation
        if isinstance(value, bool) and annotation is not bool:
            raise ValueError(f"expected no truth value, got {str(value).lower()}")
        return value


@dataclass(frozen=True, eq=False)
class OneOf:
    """Annotation of a text that names one of several things, such as ``Annotated[str, OneOf("codec", CODECS)]``."""

    kind: str
    names: Collection[str]

    def _check(self, name: str) -> str:
        if name not in self.names:
            raise ValueError(unknown_name_message(self.kind, name, self.names))
        return name

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: Any) -> dict[str, Any]:
        return {**handler(schema), "enum": sorted(self.names)}


def with_home(path: object) -> object:
    """A path with ``~`` written out.

    Raises:
        ValueError: where that folder is not known.
    """
    try:
        return Path(path).expanduser() if isinstance(path, str | Path) else path
    except RuntimeError as error:
        raise ValueError(f"{path}: the folder that ~ stands for is not known; write it out") from error


UserPath = Annotated[Path, BeforeValidator(with_home)]


def _checked_home(path: Path) -> Path:
    """The path as it was given, so that a written recipe does not name anybody's home."""
    with_home(path)
    return path


UnexpandedPath = Annotated[Path, AfterValidator(_checked_home)]
