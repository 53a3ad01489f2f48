"""Licences that a trained model inherits: of its corpus, of weights that it goes on from or merges, of its teachers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from emotune.config.recipe import Recipe
from emotune.errors import ModelError
from emotune.inference.known_models import licence_at
from emotune.models.backbones.checkpoint import folder_of_card
from emotune.models.folder import find_model_folder
from emotune.training.teacher import model_name


def inherited_licences(
    recipe: Recipe,
    of_corpus: str,
    teachers: Sequence[Mapping[str, Any]] = (),
    merged: Sequence[Mapping[str, Any]] = (),
) -> str:
    """Licence of the corpus, and those of the models or checkpoint and of teachers as their own cards state them.

    Args:
        recipe: of the training.
        of_corpus: licence of its recordings.
        teachers: name and licence of each, as provenance has them.
        merged: likewise of the models whose task vectors are merged.
    """
    parts = [f"of {model_name(own['name'])}, which is merged into it: {own['licence']}" for own in merged]
    taught = [f"of {model_name(own['name'])}, which taught it: {own['licence']}" for own in teachers]
    return "; ".join([of_corpus, *_of_start(recipe), *parts, *taught])


def _of_start(recipe: Recipe) -> list[str]:
    start, backbone = recipe.model.start, recipe.model.backbone
    if start is None and backbone.checkpoint is None:
        return []
    try:
        if start is not None:
            folder = find_model_folder(start).folder
        else:
            folder = folder_of_card(str(backbone.checkpoint), backbone.revision)
        stated = licence_at(folder)
    except ModelError:  # removed since, or without a network: the trained model is still worth its card
        stated = None
    return [f"of {recipe.model.encoder}, which it goes on from: {stated or 'unknown'}"]
