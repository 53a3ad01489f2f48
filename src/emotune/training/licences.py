"""Licences that a trained model inherits: of its corpus, and of the weights that training went on from."""

from __future__ import annotations

from emotune.config.recipe import Recipe
from emotune.errors import ModelError
from emotune.inference.known_models import licence_at
from emotune.models.backbones.checkpoint import folder_of_card
from emotune.models.folder import find_model_folder


def inherited_licences(recipe: Recipe, of_corpus: str) -> str:
    """Licence of the corpus, and that of the model or checkpoint as its own card states it."""
    start, backbone = recipe.model.start, recipe.model.backbone
    if start is None and backbone.checkpoint is None:
        return of_corpus
    try:
        if start is not None:
            folder = find_model_folder(start).folder
        else:
            folder = folder_of_card(str(backbone.checkpoint), backbone.revision)
    except ModelError:  # removed since, or without a network: the trained model is still worth its card
        return f"{of_corpus}; of {recipe.model.encoder}, which it goes on from: unknown"
    return f"{of_corpus}; of {recipe.model.encoder}, which it goes on from: {licence_at(folder) or 'unknown'}"
