"""The errors a user can meet. Each message says what was wrong, what was expected and what to do."""

import reprlib
from pathlib import Path
from typing import ClassVar

_LINES, _FIRST_LINES = 24, 18
_CHARACTERS, _FIRST_CHARACTERS = 1900, 1300
"""A screen of 24 lines of 80 characters, and how much of its beginning a longer message keeps."""

_short = reprlib.Repr()
_short.maxstring = _short.maxother = 160


def on_a_screen(message: str) -> str:
    """Cuts the middle out of a message that is longer than a screen, and says how much is left out.

    >>> on_a_screen("short"), len(on_a_screen("x" * 970_000)) < 2000
    ('short', True)
    """
    lines = message.splitlines()
    if len(lines) > _LINES:
        last = _LINES - 1 - _FIRST_LINES
        left_out = len(lines) - _FIRST_LINES - last
        message = "\n".join([*lines[:_FIRST_LINES], f"... {left_out} lines left out ...", *lines[-last:]])
    if len(message) > _CHARACTERS:
        last = _CHARACTERS - _FIRST_CHARACTERS - 60
        left_out = len(message) - _FIRST_CHARACTERS - last
        message = f"{message[:_FIRST_CHARACTERS]} ... {left_out} characters left out ... {message[-last:]}"
    return message


def quoted(value: object) -> str:
    """A value as Python would write it, for a message: cut where it is long or deep.

    >>> quoted("soon"), len(quoted(b"x" * 970_000)) < 200
    ("'soon'", True)
    """
    return _short.repr(value)


def page_here(page: str) -> str:
    """Page of the documentation as a file on this machine, beside the package or in the clone that it runs from.

    Args:
        page: such as ``docs/how-to/errors.md#models``.

    Returns:
        The file's path, and the words of the heading where one is named.
    """
    package = Path(__file__).parent
    path, _, heading = page.partition("#")
    file = next((own for own in (package / path, package.parents[1] / path) if own.is_file()), Path(path))
    return f"{file}, {heading.replace('-', ' ')}" if heading else str(file)


class EmotuneError(Exception):
    """Base of every error that emotune raises on user input. Its words are never longer than a screen."""

    page: ClassVar[str] = "docs/how-to/errors.md"
    """The page, and the heading on it, that explains errors of this kind."""

    def __str__(self) -> str:
        return on_a_screen(super().__str__())


class ConfigError(EmotuneError):
    """A recipe, an override or an option is wrong. Carries every fault found, one a line."""

    page: ClassVar[str] = "docs/how-to/errors.md#recipes-and-options"


class CorpusError(EmotuneError):
    """A corpus folder, its labels or its splits are not as they should be."""

    page: ClassVar[str] = "docs/how-to/errors.md#corpora-labels-and-splits"


class TableError(EmotuneError):
    """A manifest, prediction table or user table cannot be read or written."""

    page: ClassVar[str] = "docs/how-to/errors.md#tables"


class AudioError(EmotuneError):
    """A recording cannot be decoded or cannot be used."""

    page: ClassVar[str] = "docs/how-to/errors.md#recordings"


class ModelError(EmotuneError):
    """A model folder or a pretrained checkpoint cannot be loaded as it should be."""

    page: ClassVar[str] = "docs/how-to/errors.md#models"


class ServerError(EmotuneError):
    """A server cannot be reached, does not take what it is asked, or is at fault."""

    page: ClassVar[str] = "docs/how-to/errors.md#servers"
