"""From a recipe and its manifest to what training works with: model, preprocessing, losses and data set."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from emotune.audio.preprocessing import Preprocessing
from emotune.config.entries import by_name
from emotune.config.model import BackboneSection, ModelSection
from emotune.config.recipe import Recipe
from emotune.config.training import AugmentationSection
from emotune.data.audio_cache import AudioCache
from emotune.data.augmentations import AUGMENTATIONS
from emotune.data.augmentations.pipeline import Augmentation, Mix
from emotune.data.augmentations.step import Step
from emotune.data.dataset import EmotionDataset
from emotune.data.decoded_clips import DecodedClips
from emotune.data.vote_targets import refuse_unfit_votes
from emotune.errors import ConfigError, CorpusError
from emotune.evaluation.vote_scores import VOTE_SIMILARITY
from emotune.inference.conditioner import Conditioner
from emotune.losses import LOSSES
from emotune.models.aggregations import VARAN
from emotune.models.backbones import BACKBONES
from emotune.models.backbones.base import Backbone
from emotune.models.backbones.checkpoint import load_pretrained
from emotune.models.emotion_model import EmotionModel, choose_layers
from emotune.models.heads import HEADS, LABELS, truths_of
from emotune.models.second_stream import SecondStream, second_normalizes
from emotune.schema.labels import LabelSpace
from emotune.schema.manifest import Manifest
from emotune.schema.splits import DEVELOPMENT, TRAIN, held_out
from emotune.section import Section
from emotune.training.build_task import build_loss, build_reversal, build_task, vote_targets
from emotune.training.clip_lengths import with_lengths_settled
from emotune.training.conditions import build_conditioner, condition_table
from emotune.training.heard_before import EarlierModel, earlier_models, refuse_heard
from emotune.training.label_task import LabelTask
from emotune.training.lesson import Lesson, lesson_of
from emotune.training.manifest import without_votes
from emotune.training.sampling import refuse_one_group
from emotune.training.start import preprocessing_of_start, refuse_another_encoder, start_of, take_over


def best_device() -> torch.device:
    """A GPU where there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def build_label_space(recipe: Recipe, manifest: Manifest) -> LabelSpace:
    """Label space of the model: the manifest's classes, if wanted, and the chosen dimensions with their scales."""
    dimensions = {name: manifest.label_space.dimensions[name] for name in recipe.data.dimensions}
    return LabelSpace(manifest.label_space.classes if recipe.data.classes else (), dimensions)


def build_backbone(recipe: Recipe) -> Backbone:
    """The encoder: of the model to go on from, pretrained, or with random weights drawn from the recipe's seed."""
    start, backbone = start_of(recipe), recipe.model.backbone
    if start is not None:
        refuse_another_encoder(recipe, start)
        return start.model.backbone
    return _encoder_of(backbone, recipe.seed)


def _encoder_of(section: BackboneSection, seed: int) -> Backbone:
    if section.checkpoint is not None:
        return load_pretrained(
            section.name,
            section.checkpoint,
            layers=section.layers,
            final_norm=section.final_norm,
            revision=section.revision,
        )
    torch.manual_seed(seed)
    return BACKBONES[section.name].from_config(
        {**(section.config or {}), "final_norm": section.final_norm}, layers=section.layers
    )


def build_second(recipe: Recipe, first: Backbone) -> SecondStream | None:
    """The second stream of the recipe, if it has one, with what trains of its encoder chosen.

    Raises:
        ConfigError: where the two encoders cannot hear the same clips.
    """
    section = recipe.model.second
    if section is None:
        return None
    encoder = _encoder_of(section.backbone, recipe.seed)
    torch.manual_seed(recipe.seed)
    second = SecondStream(
        encoder,
        layer_mix=by_name(section.layer_mix),
        size=section.size,
        normalizes=second_normalizes(first, encoder),
    )
    own = section.backbone
    choose_layers(encoder, layers=own.train, front_end=own.train_front_end, key="model.second.backbone")
    encoder.recompute_layers = recipe.train.gradient_checkpointing
    return second


def build_preprocessing(recipe: Recipe, backbone: Backbone, second: SecondStream | None = None) -> Preprocessing:
    """Preprocessing of a clip before the model: as the encoders need it and the recipe asks.

    A model that training goes on from keeps how it normalises, and the silence that it fills a clip up with.
    """
    encoders = [backbone] if second is None else [backbone, second.backbone]
    longest = min(math.inf if own.max_samples is None else own.max_samples / 16000 for own in encoders)
    shortest = max(own.min_samples for own in encoders)
    start = preprocessing_of_start(recipe)
    fills_up = start is not None and start.too_short == "pad" and start.min_samples > shortest
    plain = Preprocessing(
        normalize=backbone.normalize,
        trim_silence_db=recipe.data.trim_silence_db,
        max_duration_s=min(recipe.data.max_duration_s, longest),
        min_samples=start.min_samples if start is not None and fills_up else shortest,
        too_long="cut" if recipe.data.too_long == "cut" else "error",
        too_short="pad" if fills_up or recipe.data.too_short == "pad" else "error",
    )
    return plain if start is None else plain.normalising_as(start)


def settle_lengths(
    recipe: Recipe, manifest: Manifest, preprocessing: Preprocessing, *, learnt: Collection[str] = ()
) -> Manifest:
    """As ``with_lengths_settled`` does, by the rules of a recipe."""
    too_short = "pad" if preprocessing.too_short == "pad" else recipe.data.too_short
    return with_lengths_settled(
        manifest, preprocessing, too_long=recipe.data.too_long, too_short=too_short, learnt=learnt
    )


def build_model(
    recipe: Recipe,
    space: LabelSpace,
    backbone: Backbone,
    *,
    conditioner: Conditioner | None = None,
    second: SecondStream | None = None,
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
        dropout=section.dropout if not recipe.pretrains else 0.0,
        adapter=_adapter_options(section),
        conditions=conditioner and conditioner.about,
        join=by_name(section.join),
        heads=wanted_heads(recipe),
        second=second,
    )
    start = start_of(recipe)
    if start is not None:
        take_over(model, start)
    model.check_adapter()
    backbone.recompute_layers = recipe.train.gradient_checkpointing
    model.choose_trainable(layers=section.backbone.train, front_end=section.backbone.train_front_end)
    return model


def _adapter_options(section: ModelSection) -> dict[str, Any] | None:
    """Options of the adapter for ``EmotionModel``, with the number of top layers that get it."""
    if section.adapter is None:
        return None
    top = section.backbone.train
    return section.adapter.model_dump() | {"layers": top if isinstance(top, int) else None}


def wanted_heads(recipe: Recipe) -> list[str]:
    """Entries of ``HEADS``: those of labels, and those that a loss of positive weight teaches; none of pre-training."""
    if recipe.pretrains:
        return []
    taught = [LOSSES[name].head for name, section in recipe.loss if section.weight]
    return list(dict.fromkeys([*LABELS, *taught]))


@dataclass(frozen=True)
class Experiment:
    """All that fine-tuning works with, as the recipe says.

    ``earlier`` are the trained models that the recipe learns from; ``heard`` are the development clips, where a cache
    keeps them; ``lesson`` is that of the recipe's task, to be prepared before training.
    """

    manifest: Manifest
    train: Manifest
    development: Manifest
    space: LabelSpace
    preprocessing: Preprocessing
    model: EmotionModel
    task: LabelTask
    dataset: EmotionDataset
    conditioner: Conditioner | None
    earlier: Sequence[EarlierModel] = ()
    heard: DecodedClips | None = None
    lesson: Lesson | None = None


def build_cache(recipe: Recipe) -> AudioCache | None:
    """The recipe's cache of decoded clips, where it has one."""
    return recipe.data.cache and AudioCache(recipe.data.cache.expanduser(), most_gb=recipe.data.cache_gb)


def hears_the_same(recipe: Recipe) -> bool:
    """Tells if training hears the same clips in every epoch."""
    augmented = recipe.augmentation.model_copy(update={"probability": 1.0, "mix_states": None}) != AugmentationSection()
    return recipe.train.adversarial is None and not augmented


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


def _refuse_no_choice(recipe: Recipe, development: Manifest) -> None:
    """Refuses a development split without the labels by which ``train.metric`` chooses the epoch.

    Raises:
        CorpusError: naming what it lacks.
    """
    metric = recipe.train.metric
    if metric in HEADS["classes"].metrics and not any(utterance.emotion for utterance in development):
        raise CorpusError(
            f"No development utterance has a label, so train.metric={metric} cannot choose an epoch. Give the"
            " development split labels, or choose train.metric=vote_similarity."
        )
    asked = [name for name in recipe.data.dimensions if metric in ("ccc", f"ccc.{name}")]
    unknown = [name for name in asked if not any(name in utterance.dimensions for utterance in development)]
    if unknown:
        raise CorpusError(
            f"No development utterance has a value of {', '.join(unknown)}, so train.metric={metric} cannot choose an"
            " epoch. Give the development split values, or choose another metric."
        )


def build_experiment(recipe: Recipe, manifest: Manifest) -> Experiment:
    """Builds everything that fine-tuning on a manifest needs.

    Raises:
        CorpusError: for a manifest without splits ``train`` and ``development``, or with a class that training lacks.
    """
    train, development = manifest.split(TRAIN), manifest.split(DEVELOPMENT)
    _refuse_no_choice(recipe, development)
    earlier = earlier_models(recipe)
    refuse_heard(earlier, held_out(manifest), allow=recipe.data.allow)
    space = build_label_space(recipe, manifest)
    if recipe.train.metric == VOTE_SIMILARITY and without_votes(development, space.classes) == len(development):
        raise CorpusError(f"train.metric: {VOTE_SIMILARITY} needs votes, and no development utterance has any.")
    if (by := recipe.train.sampling.by) not in (None, "class"):
        refuse_one_group(train, "language" if by == "language" else "corpus", key=f"train.sampling.by: {by}")
    refuse_unfit_votes(train.utterances, **recipe.train.vote_targets.model_dump())
    build_reversal(recipe, train)
    lesson = lesson_of(recipe, space, manifest)
    labels = 1.0 if lesson is None else lesson.labels
    build_loss(recipe, space, train, times=labels)  # what cannot be learnt is said before an encoder is loaded
    backbone = build_backbone(recipe)
    second = build_second(recipe, backbone)
    preprocessing = build_preprocessing(recipe, backbone, second)
    manifest = settle_lengths(recipe, manifest, preprocessing, learnt=(TRAIN, DEVELOPMENT))
    train, development = manifest.split(TRAIN), manifest.split(DEVELOPMENT)
    if lesson is not None:
        lesson.check(train)
    reversal = build_reversal(recipe, train)
    task = build_task(recipe, build_loss(recipe, space, train, times=labels, reversal=reversal), lesson)
    refuse_short_crop(recipe, preprocessing)
    conditioner = build_conditioner(recipe.model.conditions, manifest)
    model = build_model(recipe, space, backbone, conditioner=conditioner, second=second)
    if reversal is not None:
        reversal.attach(model)
    cache = build_cache(recipe)
    further = {} if reversal is None else dict(reversal.truths)
    if lesson is not None:
        further |= lesson.truths
    dataset = EmotionDataset(
        train,
        truths_of(space, model.learns) | further,
        preprocessing,
        augmentation=build_augmentation(recipe),
        cache=cache,
        conditions=conditioner and condition_table(conditioner, train),
        votes=vote_targets(recipe, space),
        seed=recipe.seed,
        with_unchanged=lesson is not None and lesson.hears_unchanged,
    )
    heard = cache and DecodedClips(
        development,
        cache,
        sampling_rate_hz=preprocessing.sampling_rate_hz,
        max_duration_s=preprocessing.longest_decoded_s,
    )
    return Experiment(
        manifest, train, development, space, preprocessing, model, task, dataset, conditioner, earlier, heard, lesson
    )


def refuse_short_crop(recipe: Recipe, preprocessing: Preprocessing) -> None:
    """Refuses a crop that gives an encoder no frame.

    Raises:
        ConfigError: naming the shortest clip that it takes.
    """
    crop_s, shortest_s = recipe.augmentation.crop_s, preprocessing.min_samples / preprocessing.sampling_rate_hz
    if crop_s is not None and crop_s < shortest_s:
        raise ConfigError(
            f"augmentation.crop_s is {crop_s:g}, but this encoder needs clips of {shortest_s:g} s and more."
        )
