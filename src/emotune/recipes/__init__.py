"""Recipes as package data: <corpus>/<experiment>.yaml, never Python."""

from importlib import resources
from pathlib import Path


def recipe_folder() -> Path:
    """Where the recipes lie."""
    return Path(str(resources.files(__name__)))


def recipe_names() -> list[str]:
    """Their names, such as ``ravdess/whisper_tiny``."""
    folder = recipe_folder()
    return sorted(path.relative_to(folder).with_suffix("").as_posix() for path in folder.rglob("*.yaml"))
