"""Evaluation protocols as package data: <corpus>/<protocol>.yaml, read by ``emotune.protocols.protocol``."""

from importlib import resources
from pathlib import Path


def protocol_folder() -> Path:
    """The folder of the protocols."""
    return Path(str(resources.files(__name__)))


def protocol_names() -> list[str]:
    """Their names, such as ``ravdess/6_folds``."""
    folder = protocol_folder()
    return sorted(path.relative_to(folder).with_suffix("").as_posix() for path in folder.rglob("*.yaml"))
