"""Recipes and studies as package data: <corpus>/<experiment>.yaml and studies/<corpus>/<study>.yaml, never Python."""

import re
from importlib import resources
from pathlib import Path

_STUDIES = "studies"


def recipe_folder() -> Path:
    """The folder of the recipes."""
    return Path(str(resources.files(__name__)))


def recipe_names() -> list[str]:
    """Their names, such as ``ravdess/whisper_tiny``."""
    return [name for name in _names(recipe_folder()) if not name.startswith(f"{_STUDIES}/")]


def study_folder() -> Path:
    """The folder of the studies."""
    return recipe_folder() / _STUDIES


def study_names() -> list[str]:
    """Their names, such as ``demo/poolings``."""
    return _names(study_folder())


def first_sentence(folder: Path, name: str) -> str:
    """First sentence of the description of a folder's recipe or study ``name``."""
    import yaml  # noqa: PLC0415 (names are known without it)

    description = yaml.safe_load((folder / f"{name}.yaml").read_text(encoding="utf-8")).get("description", "")
    return re.split(r"(?<=\.)\s", description.strip(), maxsplit=1)[0]


def _names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).with_suffix("").as_posix() for path in folder.rglob("*.yaml"))
