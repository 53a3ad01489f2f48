"""Parts of emotune that need more than the base installation."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from emotune.errors import ConfigError


@contextmanager
def needs(extra: str, what: str = "This command") -> Iterator[None]:
    """Says which extra holds a package that an import of the block lacks; what emotune itself lacks is a fault of ours.

    Args:
        extra: of the installation, such as ``train``.
        what: needs the package, as the sentence begins.

    Raises:
        ConfigError: when a package outside emotune is not installed.

    >>> with needs("asr", "It"):
    ...     import no_such_package
    Traceback (most recent call last):
    emotune.errors.ConfigError: It needs 'no_such_package', which is not installed: pip install 'emotune[asr]'.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "emotune":
            raise
        raise ConfigError(
            f"{what} needs '{error.name}', which is not installed: pip install 'emotune[{extra}]'."
        ) from error
