"""Recipes that go on from a trained model: what its folder says stands for the keys of the recipe's model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from emotune.errors import EmotuneError
from emotune.io.tables import read_json
from emotune.models.exported import is_exported
from emotune.models.folder import CONFIG, GRAPH, PREPROCESSOR, WEIGHTS, find_model_folder

OF_FOLD = "{fold}"
"""In ``model.backbone.checkpoint`` and ``model.adapter.models``: the fold's name, for what heard its speakers."""
_BELOW_HEADS = ("layer_mix", "varan", "pooling")
_PARTS = (*_BELOW_HEADS, "hidden_size", "dropout")


def with_start(recipe: Any) -> Any:
    """The sections of a recipe with the encoder, layer mix, pooling and trimming of ``model.start``.

    What a recipe gives itself stays. One that was written with all of that needs no folder to be read.

    Raises:
        ValueError: for a start that is no model to be trained, or beside an encoder of the recipe's own.
    """
    if not isinstance(recipe, Mapping) or not isinstance(recipe.get("model"), Mapping):
        return recipe
    model: dict[str, Any] = dict(recipe["model"])
    start, backbone = model.get("start"), model.get("backbone") or {}
    if not isinstance(start, str | Path) or not isinstance(backbone, Mapping):
        return recipe
    given = [name for name in ("checkpoint", "revision", "layers") if backbone.get(name)]
    if given or ("name" in backbone) != ("config" in backbone):
        extra = given[0] if given else "name" if "name" in backbone else "config"
        raise ValueError(
            f"model.start brings its encoder: leave out model.backbone.{extra}, or, for an encoder of your own, give"
            " model.start=null, model.backbone.name=FAMILY and model.backbone.checkpoint=FOLDER"
        )
    if "name" in backbone:
        return recipe
    try:
        folder = find_model_folder(_of_any_fold(start) if recipe.get("protocol") else start).folder
        config = read_json(folder / CONFIG, "The model's config")
        heard = folder / PREPROCESSOR
        preprocessing = read_json(heard, "The model's preprocessing") if "schema" in config else {}
    except EmotuneError as error:
        raise ValueError(f"model.start: {error}") from error
    if "schema" not in config:
        raise ValueError(
            f"model.start: {start} is a published model of others; write it as one of emotune's first: emotune import"
            f" model {start} -o FOLDER, and name that folder"
        )
    _refuse(config, folder)
    own = dict(config["backbone"])
    encoder = {"name": own.pop("model_type"), "final_norm": bool(own.pop("final_norm", False)), "config": own}
    own_parts = _PARTS if config.get("heads") != [] else _BELOW_HEADS
    parts = {name: config[name] for name in own_parts if config.get(name) is not None}
    data = {"trim_silence_db": preprocessing.get("trim_silence_db"), **(recipe.get("data") or {})}
    return {**recipe, "data": data, "model": {**parts, **model, "backbone": {**encoder, **backbone}}}


def model_of_fold(name: str, fold: str) -> str:
    """A fold's own model: ``{fold}`` in a name is the fold's, and a folder with one for each stands for that one."""
    own = name.replace(OF_FOLD, fold)
    return str(Path(own) / fold) if _holds_model(Path(own) / fold) else own


def _of_any_fold(start: str | Path) -> str | Path:
    """A fold's model, of a folder with one for each fold: they differ in their weights alone."""
    return next((path for path in sorted(Path(start).glob("*")) if _holds_model(path)), start)


def _holds_model(run: Path) -> bool:
    return (run / "model" / CONFIG).is_file()


def _refuse(config: Mapping[str, Any], folder: Path) -> None:
    """Refuses what cannot be trained further."""
    held = GRAPH if is_exported(folder) else WEIGHTS
    if not (folder / held).is_file() or not isinstance(config.get("backbone"), Mapping):
        raise ValueError(f"model.start: {folder} has no {held} or no encoder in its config; copy the folder again")
    for part in ("adapter", "conditions", "second"):
        if config.get(part):
            raise ValueError(
                f"model.start: {folder} has {part}, with which a recipe cannot go on yet; name a model without"
            )
