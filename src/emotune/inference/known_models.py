"""Models that ``load`` finds on this machine, and the published encoders that recipes train from."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import yaml

from emotune.errors import EmotuneError, ModelError
from emotune.io.hub import CARD, licence_of
from emotune.io.tables import read_json
from emotune.models.folder import CONFIG, GRAPH, WEIGHTS, find_model_folder
from emotune.models.installed import MODELS, OWN, is_plain
from emotune.recipes import recipe_folder, recipe_names
from emotune.schema.run_folder import RunFolder

_SCHEMA = re.compile(r"emotune-\w+/\d+")
_DEPTHS = ("*", "*/model", "*/*/model", "*/runs/*/*/model")
_LICENCE = re.compile(r"^- licence: (.+)$", re.MULTILINE)


@dataclass(frozen=True)
class KnownModel:
    """A model that ``load`` takes by this name.

    Args:
        name: as ``load`` takes it.
        folder: where it lies; None where it is not installed.
        licence: as its card states it; None where it does not.
        megabytes: of its folder; 0 where it is not installed.
        classes: that it tells apart.
        dimensions: that it predicts.
        install: what installs it, where it is not there.
        card: the file that says what it was trained on, how good it is and where it is not; None where there is none.
    """

    name: str
    folder: str | None = None
    licence: str | None = None
    megabytes: float = 0.0
    classes: tuple[str, ...] = ()
    dimensions: tuple[str, ...] = ()
    install: str | None = None
    card: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The same for a JSON file."""
        return asdict(self)


def known_models(folder: str | Path = "runs") -> list[KnownModel]:
    """The models of installed packages, those that emotune's own packages would bring, and those below a folder.

    A folder that holds no readable model is passed over, and so is a run that has not finished.
    """
    installed = [_described(Path(MODELS[name]), name) for name in sorted(MODELS)]
    absent = [KnownModel(name, install=f"pip install 'emotune[{OWN[name]}]'") for name in OWN if name not in MODELS]
    return [*(model for model in installed if model is not None), *absent, *_below(Path(folder))]


def known_model(name: str) -> KnownModel:
    """The installed model of this name, or the one in a model folder or run folder.

    Raises:
        ModelError: where there is none, or what is there was not made by emotune.
    """
    found = find_model_folder(name)
    described = _described(found.folder, found.name)
    if described is None:
        raise ModelError(f"{name}: its {CONFIG} is none of emotune's, which says classes and dimensions.")
    return described


def encoders_of_recipes() -> dict[str, list[str]]:
    """Published encoder or installed model -> the recipes that train from it."""
    found: dict[str, list[str]] = {}
    for name in recipe_names():
        content = yaml.safe_load((recipe_folder() / f"{name}.yaml").read_text(encoding="utf-8"))
        model = content.get("model", {})
        start = model.get("start") or model.get("backbone", {}).get("checkpoint")
        if start is not None:
            found.setdefault(start, []).append(name)
    return found


def _below(folder: Path) -> Iterator[KnownModel]:
    configs = (path for depth in _DEPTHS for path in folder.glob(f"{depth}/{CONFIG}"))
    for own in sorted({path.parent for path in configs if _is_whole(path.parent)}):
        path = str(own.parent if own.name == "model" else own)
        described = _described(own, f"./{path}" if is_plain(path) else path)
        if described is not None:
            yield described


def _is_whole(folder: Path) -> bool:
    """Tells whether a model has its weights, and its run, if it lies in one, has finished."""
    run = RunFolder(folder.parent)
    try:
        made = folder.name != run.model.name or not run.provenance.exists() or run.finished
    except EmotuneError:
        return False
    return made and any((folder / name).is_file() for name in (WEIGHTS, f"{WEIGHTS}.index.json", GRAPH))


def _described(folder: Path, name: str) -> KnownModel | None:
    try:
        config = read_json(folder / CONFIG, "The model's config")
    except EmotuneError:
        return None
    if not _SCHEMA.fullmatch(str(config.get("schema"))):
        return None
    megabytes = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6
    return KnownModel(
        name,
        str(folder.absolute()),
        licence_at(folder),
        round(megabytes, 1),
        _names(config.get("classes")),
        _names(config.get("dimensions")),
        card=str(folder.absolute() / CARD) if (folder / CARD).is_file() else None,
    )


def licence_at(folder: Path) -> str | None:
    """Licence of a model folder's card: of its front matter, else of its list of data and licences."""
    card = folder / CARD
    stated = licence_of(card)
    if stated not in (None, "other") or not card.is_file():
        return stated
    line = _LICENCE.search(card.read_text(encoding="utf-8", errors="replace"))
    return stated if line is None or line[1] == "unknown" else line[1]


def _names(value: object) -> tuple[str, ...]:
    """Names of a list, or the keys of a mapping, of a config that nobody has checked."""
    return tuple(map(str, cast(list[Any] | Mapping[str, Any], value))) if isinstance(value, list | dict) else ()
