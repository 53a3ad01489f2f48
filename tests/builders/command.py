"""The command line, run in this process."""

import contextlib
import io
import sys
from dataclasses import dataclass

import pytest

from emotune.cli import main


@dataclass(frozen=True)
class Ended:
    """Exit code of a command, and what it wrote."""

    code: int
    out: str
    err: str


def run_command(*arguments: object) -> Ended:
    """Runs ``emotune`` with these arguments."""
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", newline="", write_through=True) for _ in range(2))
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        patch.setattr(sys, "argv", ["emotune", *map(str, arguments)])
        try:
            main()
            code = 0
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
    return Ended(code, *(stream.buffer.getvalue().decode() for stream in (out, err)))  # pyright: ignore[reportAttributeAccessIssue]
