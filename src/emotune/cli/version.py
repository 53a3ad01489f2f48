"""emotune --version, of emotune, Python and PyTorch, and --quiet."""

from __future__ import annotations

import platform
from typing import Annotated

import typer

import emotune
from emotune.cli.console import err, out


def versions() -> str:
    """Versions on one line; PyTorch's is read from its installation, without importing it."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        torch = f"PyTorch {version('torch')}"
    except PackageNotFoundError:
        torch = "no PyTorch"
    return f"emotune {emotune.__version__}, Python {platform.python_version()}, {torch}"


def _show(asked: bool) -> None:
    if asked:
        out.print(versions(), markup=False)
        raise typer.Exit


def options(
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_show, is_eager=True, help="Show the versions of emotune, Python, PyTorch."),
    ] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", help="Anywhere in a command: on standard error say errors alone.")
    ] = False,
) -> None:
    """Takes the options of emotune itself."""
    err.errors_alone = quiet
