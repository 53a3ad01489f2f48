"""Training that goes on from trained models: encoder, layer mix and pooling kept, heads where they answer the same."""

from __future__ import annotations

from typing import Any

from emotune.audio.preprocessing import Preprocessing
from emotune.config.recipe import Recipe
from emotune.errors import ConfigError
from emotune.inference.known_models import licence_at
from emotune.io.tables import read_json
from emotune.models.emotion_model import EmotionModel
from emotune.models.exported import is_exported, read_exported
from emotune.models.folder import PREPROCESSOR, digest_of, find_model_folder
from emotune.models.heads.head import Head
from emotune.models.store import StoredModel, fingerprint_of, is_ours, load_model
from emotune.runtime.extras import needs

_HOLDING = (".json", ".safetensors", ".bin")  # settings and weights of an encoder's folder
_KEPT = ("layer_mix.", "pooling.", "standardize.")


def start_of(recipe: Recipe) -> StoredModel | None:
    """The model that ``model.start`` names; None without one.

    Raises:
        ModelError: for a folder that is damaged or not there, or an exported model that does not hold every weight.
        ConfigError: for an exported model, where the extra `export` is missing.
    """
    if recipe.model.start is None:
        return None
    folder = find_model_folder(recipe.model.start).folder
    if not is_exported(folder):
        return load_model(folder)
    with needs("train", f"Going on from {folder}, an exported model,"):
        from emotune.export.read_back import read_back  # noqa: PLC0415 (training needs no ONNX otherwise)
    return read_back(folder)


def preprocessing_of_start(recipe: Recipe) -> Preprocessing | None:
    """Preprocessing of the model that ``model.start`` names; None without one.

    Raises:
        ModelError: for a folder that is damaged or not there.
    """
    if recipe.model.start is None:
        return None
    folder = find_model_folder(recipe.model.start).folder
    if is_exported(folder):
        return read_exported(folder).source_preprocessing
    return Preprocessing.from_json(read_json(folder / PREPROCESSOR, "The model's preprocessing"))


def merged_models(recipe: Recipe) -> list[dict[str, str]]:
    """Name, fingerprint and licence of each model whose task vectors a recipe merges, for provenance.

    Raises:
        ModelError: for a folder that is not there.
    """
    found = []
    for name in recipe.model.merged:
        folder = find_model_folder(name).folder
        files = sorted(path for path in folder.iterdir() if path.suffix in _HOLDING)
        digest = fingerprint_of(folder) if (folder / PREPROCESSOR).exists() and is_ours(folder) else digest_of(files)
        found.append({"name": name, "fingerprint": digest, "licence": licence_at(folder) or "unknown"})
    return found


def refuse_another_encoder(recipe: Recipe, start: StoredModel) -> None:
    """Refuses a start whose encoder is not the one that the recipe was written with.

    Raises:
        ConfigError: naming the start.
    """
    section, own = recipe.model.backbone, start.model.backbone.config
    asked = {"model_type": section.name, **(section.config or {}), "final_norm": section.final_norm}
    if asked != {"final_norm": False, **own}:
        raise ConfigError(
            f"model.start: {recipe.model.start} has another encoder than the one that this recipe was written with."
            " Leave model.backbone.name and model.backbone.config out to take it."
        )


def take_over(model: EmotionModel, start: StoredModel) -> list[str]:
    """Copies layer mix, pooling and standardisation, and the heads of the same classes or dimensions.

    Args:
        model: over the start's encoder.
        start: the trained model.

    Returns:
        The names of the heads that are kept.

    Raises:
        ConfigError: where the recipe's layer mix or pooling are others.
    """
    theirs = start.model
    for name in ("layer_mix", "pooling"):
        if model.options[name] != theirs.options[name]:
            raise ConfigError(
                f"model.{name} is {model.options[name]}, and model.start has {theirs.options[name]}: leave model.{name}"
                " out, or start."
            )
    kept = [name for name in model.learns if _is_same_head(name, model, theirs)]
    prefixes = (*_KEPT, *(f"heads.{name}." for name in kept))
    weights = {name: value for name, value in theirs.state_dict().items() if name.startswith(prefixes)}
    for name in kept:
        ours, order = (_answers_of(head.learns[name]) for head in (model, theirs))
        rows = [order.index(answer) for answer in ours]
        for key in [key for key in weights if key.startswith(f"heads.{name}.") and ".out." in key]:
            weights[key] = weights[key][rows] if rows else weights[key]
    model.load_state_dict(weights, strict=False)
    return kept


def _is_same_head(name: str, model: EmotionModel, start: EmotionModel) -> bool:
    """Tells whether a head answers for the same classes or dimensions in both, by a network of the same form.

    Their order may differ: rows go by name.
    """
    if name not in start.learns:
        return False
    one, other = model.learns[name].space, start.learns[name].space
    same_classes = sorted(one.classes) == sorted(other.classes)
    is_same = {"probabilities": same_classes, "dimensions": dict(one.dimensions) == dict(other.dimensions)}
    return is_same.get(model.learns[name].stored_as or "", True) and _form(model, name) == _form(start, name)


def _answers_of(head: Head) -> list[str]:
    """Names of a head's numbers, in their order; none for a head that stores no answers."""
    names = {"probabilities": head.space.classes, "dimensions": head.space.dimensions}
    return list(names[head.stored_as]) if head.stored_as is not None else []


def _form(model: EmotionModel, name: str) -> tuple[dict[str, tuple[int, ...]], dict[str, Any]]:
    """Shapes of a head's weights, and what is done with them; dropout may change."""
    options = {key: value for key, value in model.network_options(name).items() if key != "dropout"}
    shapes = {key: tuple(value.shape) for key, value in model.heads[name].state_dict().items()}
    return shapes, options
