"""Knows the folders of sequence models without PyTorch."""

# pyright: strict, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

from pathlib import Path

FILE = "sequences.json"


def find_sequences(name: str | Path) -> Path | None:
    """The model folder of a sequence model, given it or its run; None for anything else."""
    path = Path(name)
    return next((folder.absolute() for folder in (path, path / "model") if (folder / FILE).is_file()), None)
