"""Recipes as package data: <corpus>/<experiment>.yaml, never Python; <corpus>/study.yaml is a study of them."""

from importlib import resources
from pathlib import Path


def recipe_folder() -> Path:
    """Where the recipes lie."""
    return Path(str(resources.files(__name__)))


def recipe_names() -> list[str]:
    """Their names, such as ``ravdess/whisper_tiny``."""
    return [name for name in _names() if not _is_study(name)]


def study_names() -> list[str]:
    """The names of the studies that lie beside recipes, such as ``odyssey2024/study``."""
    return [name for name in _names() if _is_study(name)]


def _names() -> list[str]:
    folder = recipe_folder()
    return sorted(path.relative_to(folder).with_suffix("").as_posix() for path in folder.rglob("*.yaml"))


def _is_study(name: str) -> bool:
    return name.rpartition("/")[2] == "study"
