"""Multi-view contrastive pre-training as a recipe says: a model without heads that other recipes go on from."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from emotune.audio.preprocessing import Preprocessing
from emotune.config.recipe import Recipe
from emotune.config.training import TrainSection
from emotune.data.audio_cache import AudioCache
from emotune.data.dataset import EmotionDataset
from emotune.data.loading import Loading
from emotune.errors import CorpusError, ModelError
from emotune.losses.contrastive import PairwiseInfoNCE
from emotune.models.card import model_card
from emotune.models.emotion_model import EmotionModel
from emotune.models.store import save_model
from emotune.models.views import VIEWS as BESIDE
from emotune.models.views.encoder import refuse_otherwise_normalised
from emotune.models.views.view import View
from emotune.models.views.view_model import ViewModel
from emotune.runtime.listener import Listener, Listeners
from emotune.runtime.progress import Progress, silent
from emotune.schema.labels import LabelSpace
from emotune.schema.manifest import Manifest
from emotune.schema.run_folder import RunFolder
from emotune.schema.splits import TRAIN
from emotune.training.batching import clips_among, fitting_in
from emotune.training.build import (
    best_device,
    build_augmentation,
    build_backbone,
    build_model,
    build_preprocessing,
    refuse_short_crop,
    settle_lengths,
)
from emotune.training.features import pooled_features
from emotune.training.fine_tune import last_checkpoint, remember
from emotune.training.loop import processes
from emotune.training.loop.checkpoints import Checkpoints
from emotune.training.loop.estimate import memory_estimate
from emotune.training.loop.trainer import Groups, Trainer, batches_of
from emotune.training.parameters import count_parameters, parameter_groups
from emotune.training.pretrainer import PreTrainer
from emotune.training.run import Beginning, opened, provenance_of, write_end, write_start
from emotune.training.run_log import OtherProcess, RunLog
from emotune.training.start import PRE_TRAINED
from emotune.training.views.data import (
    clip_truth,
    held_apart,
    measured_numbers,
    refuse_unknown_speakers,
    unlabelled_manifest,
)
from emotune.training.views.score import view_scores
from emotune.training.views.views_task import CLIP, ViewsTask

KIND = f"{PRE_TRAINED} by views"
Figures = Mapping[str, float]


@dataclass(frozen=True)
class PreTraining:
    """All that pre-training works with.

    Args:
        manifest: of all clips that are heard, without labels.
        train: those that train.
        preprocessing: of the model.
        model: with its views.
        dataset: those that train, as the recipe augments them.
        plain: the clips that choose the epoch, as they are.
        loss: of a step.
        task: what is learnt.
    """

    manifest: Manifest
    train: Manifest
    preprocessing: Preprocessing
    model: ViewModel
    dataset: EmotionDataset
    plain: EmotionDataset
    loss: PairwiseInfoNCE
    task: ViewsTask


def build_pretraining(recipe: Recipe, *, progress: Progress = silent) -> PreTraining:
    """Builds everything that pre-training by views needs.

    Raises:
        CorpusError: for data that cannot be learnt from.
        ConfigError, ModelError: for an encoder or a view that cannot be had.
    """
    section = recipe.views
    manifest = unlabelled_manifest(recipe, progress=progress)
    if section.same_speaker != "keep":
        refuse_unknown_speakers(manifest)
    backbone = build_backbone(recipe)
    preprocessing = build_preprocessing(recipe, backbone)
    refuse_short_crop(recipe, preprocessing)
    manifest = settle_lengths(recipe, manifest, preprocessing, learnt=(TRAIN,))
    train, choosing = held_apart(manifest, section.held_out, seed=recipe.seed)
    if len(train) < 2:
        raise CorpusError(f"{len(train)} clip is left to train, and one has no other to be told from; give more data.")
    trunk = build_model(recipe, LabelSpace(()), backbone)
    torch.manual_seed(recipe.seed)
    others: dict[str, View] = {}
    for name, options in section.beside.items():
        others[name] = BESIDE[name](**options.model_dump())
        refuse_otherwise_normalised(name, others[name], backbone.normalize)
    model = ViewModel(trunk, others, width=section.width)
    measured = partial(
        measured_numbers, others, preprocessing=preprocessing, cache=section.cache.expanduser(), progress=progress
    )
    numbers = measured(train)
    for view in others.values():
        if view.measures is not None:
            view.fit(torch.from_numpy(numbers[view.measures]))
    cache = recipe.data.cache and AudioCache(recipe.data.cache.expanduser(), most_gb=recipe.data.cache_gb)
    truths = {CLIP: clip_truth(manifest)}
    loss = PairwiseInfoNCE(
        temperature=section.temperature, hardness=section.hardness, same_speaker=section.same_speaker
    )
    return PreTraining(
        manifest,
        train,
        preprocessing,
        model,
        EmotionDataset(
            train,
            truths,
            preprocessing,
            augmentation=build_augmentation(recipe),
            cache=cache,
            conditions=numbers,
            seed=recipe.seed,
        ),
        EmotionDataset(choosing, truths, preprocessing, cache=cache, conditions=measured(choosing)),
        loss,
        ViewsTask(loss, width=section.width),
    )


def pretrain_views(
    recipe: Recipe, folder: Path, *, listener: Listener | None = None, progress: Progress = silent
) -> Figures:
    """Pre-trains as the recipe says, and saves the model of the best epoch, without heads.

    The same recipe in the same folder continues an interrupted run from its last checkpoint.

    Returns:
        The figures of the epoch that was kept.

    Raises:
        ConfigError: when the folder holds a finished run, or one of another recipe.
        CorpusError: for data that cannot be learnt from.
        ModelError: for training that diverges.
    """
    run = RunFolder(folder)
    with processes.joined(), opened(run, recipe, KIND) as began:
        processes.wait_for_all()  # nobody writes into the folder before everybody has looked
        return _pretrain(recipe, run, began, listener or Listener(), progress if processes.is_first() else silent)


def _pretrain(recipe: Recipe, run: RunFolder, began: Beginning, listener: Listener, progress: Progress) -> Figures:
    work = build_pretraining(recipe, progress=progress)
    model = work.model.to(best_device())
    checkpoint = processes.from_first(last_checkpoint(Checkpoints(run.checkpoints), listener))
    clips = clips_among(work.train, recipe, work.preprocessing)
    section = fitting_in(recipe, model, work.task, clips, checkpoint) if processes.is_first() else recipe.train
    section = processes.from_first(section)
    remember(model.model, recipe)
    provenance = provenance_of(
        recipe,
        work.manifest,
        began,
        kind=KIND,
        views=model.names,
        held_out_speakers=sorted({str(u.speaker) for u in work.plain.manifest}) if recipe.views.held_out else [],
        processes=processes.count(),
        batch_seconds=section.batch_seconds,
        accumulate=section.accumulate,
        **count_views(model),
    )
    if processes.is_first():
        write_start(run, recipe, work.manifest, provenance, listener)
        listener.say(
            f"{provenance['trainable']:,} of {provenance['parameters']:,} parameters train; views:"
            f" {', '.join(model.names)}"
        )
        listener.say(
            f"{len(work.train)} clips train without labels; the epoch is chosen on {len(work.plain)}, where chance"
            f" finds {1 / len(work.plain):.3f}"
        )
    log = RunLog(run)
    heard_by = Listeners(log, listener) if processes.is_first() else OtherProcess(listener)
    trainer = trainer_of(recipe, work, section, folder=run.checkpoints, listener=heard_by)
    try:
        best = trainer.train(checkpoint)
    except FloatingPointError as error:
        raise ModelError(f"Training stopped: {error}. Lower train.head_lr, or raise views.temperature.") from error
    finally:
        log.close()
    row = trainer.best_row() or {}
    del trainer
    figures = {name.removeprefix("development_"): row[name] for name in row if name.startswith("development_")}
    if processes.is_first():
        trunk = best.model.cpu().eval()
        trunk.merge_adapter()
        features = torch.from_numpy(pooled_features(trunk, work.preprocessing, work.train, progress=progress))
        trunk.standardize.set(features.mean(dim=0), features.std(dim=0, correction=0))
        save_model(run.model, trunk, work.preprocessing, card=_card(recipe, trunk, work.manifest, provenance, figures))
        write_end(run, provenance)
        shutil.rmtree(run.checkpoints, ignore_errors=True)
    return processes.from_first(figures)


def trainer_of(
    recipe: Recipe, work: PreTraining, section: TrainSection, *, folder: Path, listener: Listener
) -> Trainer[ViewModel]:
    """Builds the trainer; ``section`` is the train section, with batches that fit into memory."""
    clips = clips_among(work.train, recipe, work.preprocessing)
    return Trainer(
        work.model,
        work.task,
        batches_of(clips.durations_s, section, seed=recipe.seed),
        Loading(work.dataset, workers=section.workers),
        partial(view_scores, work.plain, work.loss, section.batch_seconds),
        section,
        groups=partial(view_groups, train=section),
        seed=recipe.seed,
        folder=folder,
        listener=listener,
    )


def view_groups(model: ViewModel, train: TrainSection) -> Groups:
    """Those of the model as in fine-tuning; the other views and the projections train as heads do."""
    own: dict[float, list[torch.nn.Parameter]] = {}
    for part in (model.others, model.projections):
        for parameter in part.parameters():
            if parameter.requires_grad:
                own.setdefault(train.weight_decay if parameter.ndim > 1 else 0.0, []).append(parameter)
    others = [{"params": params, "lr": train.head_lr, "weight_decay": decay} for decay, params in own.items()]
    return [*parameter_groups(model.model, train), *others]


def count_views(model: ViewModel) -> dict[str, Any]:
    """Parameters in all, those that train, and these by part."""
    counts = count_parameters(model.model)
    beside = {"views": model.others, "projections": model.projections}
    trained = {name: sum(p.numel() for p in part.parameters() if p.requires_grad) for name, part in beside.items()}
    return {
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "trainable": counts["trainable"] + sum(trained.values()),
        "trainable_by_part": {**counts["trainable_by_part"], **trained},
    }


def describe_views(recipe: Recipe, *, progress: Progress = silent) -> dict[str, Any]:
    """Describes pre-training without training: views, parameters, clips, batches, memory estimate."""
    with processes.joined():
        work = build_pretraining(recipe, progress=progress)
        model = work.model.to(best_device())
        clips = clips_among(work.train, recipe, work.preprocessing)
        section = fitting_in(recipe, model, work.task, clips)
        batches = batches_of(clips.durations_s, section, seed=recipe.seed)
        sizes = [len(batch) for batch in batches]
        return {
            "model": {**model.model.settings, "views": model.names},
            **count_views(model),
            "utterances": {TRAIN: len(work.train), "held out": len(work.plain), "all": len(work.manifest)},
            "lengths": dict(work.manifest.information.get("lengths", {})),
            "batches": {"an_epoch": len(sizes), "smallest": min(sizes), "largest": max(sizes)},
            "optimiser_steps": len(sizes) // batches.together * section.epochs,
            "memory_gb": memory_estimate(section, model, work.task, clips),
        }


def _card(
    recipe: Recipe, model: EmotionModel, manifest: Manifest, provenance: Mapping[str, Any], figures: Figures
) -> str:
    information = {
        **{name: str(manifest.information.get(name, "unknown")) for name in ("corpus", "licence", "reference")},
        **{name: provenance[name] for name in ("encoder", "recipe", "kind", "seed", "manifest_fingerprint")},
        "views": ", ".join(provenance["views"]),
        "clips": str(len(manifest)),
    }
    reached = {f"{name} of the held-out clips": f"{value:.3f}" for name, value in figures.items()}
    notice = "Pre-trained without labels: it has no heads and predicts nothing until it is trained on labels."
    return model_card(
        title=recipe.name,
        config=model.settings,
        information=information,
        scores=reached,
        notice=" ".join(filter(None, [recipe.notice, notice])),
    )


VIEWS = PreTrainer(pretrain_views, describe_views)
"""The task ``views``."""
