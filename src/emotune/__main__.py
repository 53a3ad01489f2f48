"""``python -m emotune``: the command line, for launchers that start modules, as ``torchrun -m emotune train`` does."""

from __future__ import annotations

from typing import NoReturn

from emotune.cli import main
from emotune.runtime.process import run_and_leave


def run() -> NoReturn:
    """Entry point of the installed command."""
    run_and_leave(main)


if __name__ == "__main__":
    run()
