"""From a recipe to what training needs: the manifest with its splits, the model, its preprocessing and its losses."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from emotune.audio.preprocessing import Preprocessing
from emotune.config.entries import by_name
from emotune.config.recipe import Model, Recipe, Votes
from emotune.corpora import CORPORA, map_classes, read_corpus
from emotune.data.audio_cache import AudioCache
from emotune.data.augmentations import AUGMENTATIONS
from emotune.data.augmentations.pipeline import Augmentation, Mix
from emotune.data.augmentations.step import Step
from emotune.data.dataset import EmotionDataset
from emotune.doctor import refuse_overlaps
from emotune.errors import ConfigError, CorpusError
from emotune.evaluation.evaluate import CLASS_MEASURES
from emotune.evaluation.vote_scores import VOTE_SIMILARITY
from emotune.inference.conditioner import Conditioner
from emotune.losses import LOSSES
from emotune.losses.base import BatchLoss, Loss
from emotune.losses.combined import CombinedLoss
from emotune.losses.cross_entropy import balanced_class_weights, effective_number_class_weights
from emotune.models.aggregations import VARAN
from emotune.models.backbones import BACKBONES
from emotune.models.backbones.base import Backbone
from emotune.models.backbones.checkpoint import load_pretrained
from emotune.models.emotion_model import EmotionModel
from emotune.runtime.progress import Progress, silent
from emotune.schema.gender import GENDER, GENDER_CLASSES, gender_as_class
from emotune.schema.labels import LabelSpace
from emotune.schema.manifest import Manifest, Utterance
from emotune.schema.splits import select_splits, within_budget
from emotune.section import Section
from emotune.training.clip_lengths import with_lengths_settled
from emotune.training.conditions import build_conditioner, condition_table, enriched
from emotune.votes.consensus import relabelled, vote_shares

TRAIN, DEVELOPMENT, TEST = "train", "development", "test"
VOTE_LOSSES = ("kl", "soft_cross_entropy")
_PARTS = ("front end", "encoder", "adapter", "aggregation", "conditions", "heads")


def build_manifest(recipe: Recipe, *, progress: Progress = silent) -> Manifest:
    """Read the data section: the corpus or manifest, classes mapped, splits chosen, labels made of votes, utterances
    without truth left out.

    Raises:
        CorpusError: when splits share speakers or recordings and the recipe does not allow it.
    """
    data = recipe.data
    if recipe.protocol is not None:
        raise ConfigError("A recipe with a protocol is run by `emotune train` or `emotune probe`, fold by fold.")
    manifest = source_manifest(recipe, progress=progress)
    if data.map or data.drop:
        manifest, _ = map_classes(manifest, data.map, data.drop)
    left_out: dict[str, int] = {}
    if data.splits:
        selected = select_splits(manifest, data.splits)
        left_out["that no rule of data.splits selects"] = len(manifest) - len(selected)
        manifest = selected
    if data.target == GENDER:
        manifest = gender_as_class(manifest)
    if data.votes != Votes():
        manifest, _ = relabelled(manifest, **data.votes.model_dump())
    unknown = [name for name in data.dimensions if name not in manifest.label_space.dimensions]
    if unknown:
        known = ", ".join(manifest.label_space.dimensions) or "none"
        raise CorpusError(
            f"data.dimensions: {', '.join(unknown)} not in the manifest, which has {known}. A table's column becomes a"
            " dimension with `emotune corpus read table ... --scale NAME=LOW:HIGH`."
        )
    if data.classes and not manifest.label_space.classes:
        raise CorpusError(f"The manifest has no emotion classes. {_learnable(manifest)}")
    for_votes = data.classes and data.votes.no_agreement == "votes"
    classes = manifest.label_space.classes
    labelled = manifest.filter(
        lambda u: (
            (data.classes and u.emotion is not None)
            or any(name in u.dimensions for name in data.dimensions)
            or (for_votes and _has_votes(u, classes))
        )
    )
    left_out["without a label to learn"] = len(manifest) - len(labelled)
    if not len(labelled):
        raise CorpusError(f"No utterance of the manifest has a label to learn. {_learnable(manifest)}")
    unknown = [u.utterance_id for u in labelled if u.duration_s is None or u.content_sha256 is None]
    if unknown:
        raise CorpusError(
            f"{unknown[0]} has no duration_s or no content_sha256; read the corpus again with `emotune corpus read`."
        )
    if data.budget is not None:
        within = within_budget(labelled, data.budget, split=TRAIN, seed=recipe.seed)
        left_out["beyond data.budget"] = len(labelled) - len(within)
        labelled = within
    refuse_overlaps(labelled, allow=data.allow)
    labelled = enriched(labelled, recipe.model.conditions, progress=progress)
    counted = {reason: count for reason, count in left_out.items() if count}
    return dataclasses.replace(labelled, information={**labelled.information, "left_out": counted})


def _learnable(manifest: Manifest) -> str:
    """Settings with which a manifest's labels could be learnt."""
    cures = []
    if valued := [name for name in manifest.label_space.dimensions if any(name in u.dimensions for u in manifest)]:
        cures.append(
            f"Learn its dimensions alone with data.classes=false data.dimensions=[{','.join(valued)}] train.metric=ccc."
        )
    if any(utterance.votes for utterance in manifest):
        cures.append("Learn the class with the most votes with data.votes.label=plurality.")
    return " ".join(cures) or (
        "Nor has it dimensions or votes: read the corpus again with a column of labels, see"
        " `emotune corpus read --help`."
    )


def source_manifest(recipe: Recipe, *, progress: Progress = silent) -> Manifest:
    """The manifest or corpus that a recipe names, as it is."""
    data = recipe.data
    if data.manifest is not None:
        return Manifest.read(data.manifest)
    assert data.corpus is not None and data.root is not None
    return read_corpus(CORPORA[data.corpus], data.root, labels=data.labels, progress=progress)


def best_device() -> torch.device:
    """A GPU where there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def build_label_space(recipe: Recipe, manifest: Manifest) -> LabelSpace:
    """What the model predicts: the manifest's classes, if wanted, and the chosen dimensions with their scales."""
    dimensions = {name: manifest.label_space.dimensions[name] for name in recipe.data.dimensions}
    return LabelSpace(manifest.label_space.classes if recipe.data.classes else (), dimensions)


def build_backbone(recipe: Recipe) -> Backbone:
    """The encoder: pretrained, or with random weights drawn from the recipe's seed."""
    backbone = recipe.model.backbone
    if backbone.checkpoint is not None:
        return load_pretrained(
            backbone.name,
            backbone.checkpoint,
            layers=backbone.layers,
            final_norm=backbone.final_norm,
            revision=backbone.revision,
        )
    torch.manual_seed(recipe.seed)
    return BACKBONES[backbone.name].from_config(
        {**(backbone.config or {}), "final_norm": backbone.final_norm}, layers=backbone.layers
    )


def build_preprocessing(recipe: Recipe, backbone: Backbone) -> Preprocessing:
    """What happens to a clip before the model: as the encoder needs it and the recipe asks."""
    longest = float("inf") if backbone.max_samples is None else backbone.max_samples / 16000
    return Preprocessing(
        normalize=backbone.normalize,
        trim_silence_db=recipe.data.trim_silence_db,
        max_duration_s=min(recipe.data.max_duration_s, longest),
        min_samples=backbone.min_samples,
        too_long="cut" if recipe.data.too_long == "cut" else "error",
        too_short="pad" if recipe.data.too_short == "pad" else "error",
    )


def settle_lengths(
    recipe: Recipe, manifest: Manifest, preprocessing: Preprocessing, *, learnt: Collection[str] = ()
) -> Manifest:
    """As ``with_lengths_settled`` does, by the rules of a recipe."""
    data = recipe.data
    return with_lengths_settled(
        manifest, preprocessing, too_long=data.too_long, too_short=data.too_short, learnt=learnt
    )


def build_model(
    recipe: Recipe, space: LabelSpace, backbone: Backbone, *, conditioner: Conditioner | None = None
) -> EmotionModel:
    """The whole model, with what trains of the backbone chosen; heads are drawn from the recipe's seed."""
    torch.manual_seed(recipe.seed)
    section = recipe.model
    model = EmotionModel(
        backbone,
        space,
        layer_mix=by_name(section.layer_mix),
        layer_mix_initial=section.layer_mix_initial,
        varan=section.varan.model_dump() if section.layer_mix == VARAN else None,
        pooling=by_name(section.pooling),
        hidden_size=section.hidden_size,
        dropout=section.dropout,
        adapter=_adapter_options(section),
        conditions=conditioner and conditioner.about,
        join=by_name(section.join),
        gender_target=recipe.loss.gender.weight > 0,
    )
    model.check_adapter()
    backbone.recompute_layers = recipe.train.gradient_checkpointing
    model.choose_trainable(layers=section.backbone.train, front_end=section.backbone.train_front_end)
    return model


def _adapter_options(section: Model) -> dict[str, Any] | None:
    """What ``EmotionModel`` takes: with how many top layers get the adapter."""
    if section.adapter is None:
        return None
    top = section.backbone.train
    return section.adapter.model_dump() | {"layers": top if isinstance(top, int) else None}


def build_loss(recipe: Recipe, space: LabelSpace, train: Manifest) -> CombinedLoss:
    """The losses of positive weight: CCC where dimensions are learnt, the others where classes are.

    Class weights come from the training split.

    Raises:
        CorpusError: for a class without training utterance, or losses of votes without a training utterance with votes.
    """
    losses: dict[str, tuple[float, Loss | BatchLoss]] = {}
    for name, section in recipe.loss:
        options = section.model_dump()
        weight = options.pop("weight")
        if not weight or not (space.dimensions if name == "ccc" else space.classes or name == GENDER):
            continue
        if name == GENDER and all(utterance.gender not in GENDER_CLASSES for utterance in train):
            raise CorpusError("loss.gender learns the speaker's gender, and no training utterance has one.")
        if "class_weights" in options:
            beta = options.pop("effective_beta")
            options["class_weights"] = class_weights(options["class_weights"], train, space, beta=beta)
        if name in VOTE_LOSSES and without_votes(train, space) == len(train):
            raise CorpusError(f"loss.{name} learns from votes, and no training utterance has any; see votes.<class>.")
        losses[name] = (weight, LOSSES[name](**options))
    if not losses:
        raise ConfigError("loss: every weight is 0, so there is nothing to train; give one a positive weight.")
    return CombinedLoss(losses)


def without_votes(train: Manifest, space: LabelSpace) -> int:
    """How many utterances have no vote for any class of the label space."""
    return sum(not _has_votes(utterance, space.classes) for utterance in train)


def _has_votes(utterance: Utterance, classes: Sequence[str]) -> bool:
    return math.isfinite(sum(vote_shares(utterance.votes, classes)))


def class_weights(rule: str, train: Manifest, space: LabelSpace, *, beta: float) -> Tensor | None:
    """The weights of ``class_weights`` of a loss, shape (classes,); None = all one.

    Raises:
        CorpusError: for a class without training utterance.
    """
    counts = torch.tensor([float(sum(u.emotion == name for u in train)) for name in space.classes])
    if not bool((counts > 0).all()):
        absent = [name for name, count in zip(space.classes, counts.tolist(), strict=True) if not count]
        raise CorpusError(
            f"No training utterance of class {', '.join(absent)}; drop it with data.drop, or change the splits."
        )
    if rule == "effective_number":
        return effective_number_class_weights(counts, beta=beta)
    return balanced_class_weights(counts) if rule == "balanced" else None


@dataclass(frozen=True)
class Experiment:
    """All that fine-tuning works with, as the recipe says."""

    manifest: Manifest
    train: Manifest
    development: Manifest
    space: LabelSpace
    preprocessing: Preprocessing
    model: EmotionModel
    loss: CombinedLoss
    dataset: EmotionDataset
    conditioner: Conditioner | None


def build_augmentation(recipe: Recipe) -> Augmentation:
    """The steps that the recipe asks for, in the order of their table.

    Raises:
        ConfigError: for a folder without recordings.
    """
    section = recipe.augmentation
    steps: list[tuple[Step, float | None]] = []
    for name, augmentation in AUGMENTATIONS.items():
        value = getattr(section, {"crop": "crop_s", "gain": "gain_db"}.get(name, name), None)
        probability = None if name == "crop" else section.probability
        if isinstance(value, Section):
            options = value.model_dump()
            own = options.pop("probability")
            steps.append((augmentation(**options), probability if own is None else own))
        elif value is not None:
            steps.append((augmentation(*(value if isinstance(value, tuple) else (value,))), probability))
    return Augmentation(steps, section.mix and Mix(**section.mix.model_dump()))


def build_experiment(recipe: Recipe, manifest: Manifest) -> Experiment:
    """Build everything that fine-tuning on a manifest needs.

    Raises:
        CorpusError: for a manifest without splits ``train`` and ``development``, or with a class that training lacks.
    """
    train, development = manifest.split(TRAIN), manifest.split(DEVELOPMENT)
    if recipe.train.metric in CLASS_MEASURES and not any(utterance.emotion for utterance in development):
        raise CorpusError(
            f"No development utterance has a label, so train.metric={recipe.train.metric} cannot choose an epoch. Give"
            " the development split labels, or choose train.metric=vote_similarity."
        )
    space = build_label_space(recipe, manifest)
    if recipe.train.metric == VOTE_SIMILARITY and without_votes(development, space) == len(development):
        raise CorpusError(f"train.metric: {VOTE_SIMILARITY} needs votes, and no development utterance has any.")
    build_loss(recipe, space, train)  # what cannot be learnt is said before an encoder is loaded
    backbone = build_backbone(recipe)
    preprocessing = build_preprocessing(recipe, backbone)
    manifest = settle_lengths(recipe, manifest, preprocessing, learnt=(TRAIN, DEVELOPMENT))
    train, development = manifest.split(TRAIN), manifest.split(DEVELOPMENT)
    loss = build_loss(recipe, space, train)
    _refuse_short_crop(recipe, preprocessing)
    conditioner = build_conditioner(recipe.model.conditions, manifest)
    model = build_model(recipe, space, backbone, conditioner=conditioner)
    dataset = EmotionDataset(
        train,
        space,
        preprocessing,
        augmentation=build_augmentation(recipe),
        cache=recipe.data.cache and AudioCache(recipe.data.cache.expanduser(), most_gb=recipe.data.cache_gb),
        conditions=conditioner and condition_table(conditioner, train),
        seed=recipe.seed,
    )
    return Experiment(manifest, train, development, space, preprocessing, model, loss, dataset, conditioner)


def _refuse_short_crop(recipe: Recipe, preprocessing: Preprocessing) -> None:
    crop_s, shortest_s = recipe.augmentation.crop_s, preprocessing.min_samples / preprocessing.sampling_rate_hz
    if crop_s is not None and crop_s < shortest_s:
        raise ConfigError(
            f"augmentation.crop_s is {crop_s:g}, but this encoder needs clips of {shortest_s:g} s and more."
        )


def count_parameters(model: EmotionModel) -> dict[str, Any]:
    """Parameters in all, those that train, and these by part."""
    front_end = {id(p) for module in model.backbone.front_end() for p in module.parameters()}

    def part_of(name: str, parameter: nn.Parameter) -> str:
        if name in model.adapter_parameters:
            return "adapter"
        if id(parameter) in front_end:
            return "front end"
        if name.startswith("backbone."):
            return "encoder"
        if name.startswith("joined."):
            return "conditions"
        return "aggregation" if name.startswith(("layer_mix.", "pooling.")) else "heads"

    parts: dict[str, int] = dict.fromkeys(_PARTS, 0)
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            parts[part_of(name, parameter)] += parameter.numel()
    return {
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "trainable": sum(parts.values()),
        "trainable_by_part": parts,
    }
