"""Pre-training as a recipe's task says: a run folder with an encoder in it that every other command takes."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from emotune.audio.preprocessing import Preprocessing
from emotune.config.recipe import Recipe
from emotune.config.tasks import TASKS
from emotune.config.training import TrainSection
from emotune.data.loading import Loading
from emotune.errors import ConfigError, CorpusError
from emotune.io.tables import write_text
from emotune.models.backbones.base import Backbone
from emotune.models.emotion_model import EmotionModel
from emotune.models.encoder_card import encoder_card
from emotune.models.encoder_folder import save_encoder
from emotune.models.store import save_model
from emotune.runtime.listener import Listener
from emotune.runtime.progress import Progress, silent
from emotune.schema.manifest import Manifest
from emotune.schema.run_folder import PRE_TRAINED, RunFolder
from emotune.schema.splits import TRAIN
from emotune.training.batching import clips_in
from emotune.training.build import best_device, build_backbone, build_preprocessing, refuse_short_crop, settle_lengths
from emotune.training.fine_tune import last_checkpoint
from emotune.training.heard_before import EarlierModel, earlier_models
from emotune.training.loop import processes
from emotune.training.loop.checkpoints import Checkpoints, state_of
from emotune.training.loop.estimate import memory_estimate, within_memory
from emotune.training.loop.trainer import Groups, Trainer, batches_of
from emotune.training.parameters import groups_by_rate, parameter_counts
from emotune.training.pretraining.manifest import pretraining_manifest
from emotune.training.pretraining.pretraining import Builder, Pretraining, PretrainingData
from emotune.training.run import Beginning, opened, provenance_of, told_of_divergence, write_end, write_start
from emotune.training.run_log import logged
from emotune.training.tracking import refuse_absent_trackers, tracked

_HELD_OUT, _MOST_HELD_OUT = 0.05, 200
"""Share of the clips that choose the epoch, and how many do at most."""


@dataclass(frozen=True)
class PretrainedEncoder:
    """Outcome of a run.

    Args:
        folder: of the encoder, or the run folder that holds a model to start from.
        parameters: of either.
        metric: that chose the epoch.
        score: of the epoch that was kept.
        epoch: that was kept, counted from 1.
        is_model: whether it is a model to start from.
    """

    folder: Path
    parameters: int
    metric: str
    score: float
    epoch: int
    is_model: bool = False


def pretrain_run(
    recipe: Recipe, folder: Path, *, listener: Listener | None = None, progress: Progress = silent
) -> PretrainedEncoder:
    """Pre-trains as the recipe's task says, and saves the encoder of the best epoch under ``encoder``, or ``model``.

    The same recipe in the same folder continues an interrupted run from its last checkpoint. Started by a launcher such
    as ``torchrun``, all its processes train together.

    Raises:
        ConfigError: when the folder holds a finished run, or one of another recipe.
        CorpusError: for recordings that cannot be heard, or too few of them.
        ModelError: for an encoder that cannot be read, or training that diverges.
    """
    run = RunFolder(folder)
    with processes.joined(), opened(run, recipe, PRE_TRAINED) as began:
        processes.wait_for_all()
        return _pretrain(recipe, run, began, listener or Listener(), progress if processes.is_first() else silent)


def _pretrain(
    recipe: Recipe, run: RunFolder, began: Beginning, listener: Listener, progress: Progress
) -> PretrainedEncoder:
    earlier = earlier_models(recipe)
    data, encoder = _prepared(recipe, earlier, progress)
    parts = _built(recipe, encoder, data)
    model = parts.model.to(best_device())
    checkpoint = processes.from_first(last_checkpoint(Checkpoints(run.checkpoints), listener))
    section = processes.from_first(_fitting(recipe, parts, data, checkpoint))
    whole = data.learnt.replace_utterances([*data.learnt, *data.held_out])
    counts = {
        **parameter_counts(model),
        "learnt": len(data.learnt),
        "held_out": len(data.held_out),
        "processes": processes.count(),
        "batch_seconds": section.batch_seconds,
        "accumulate": section.accumulate,
    }
    provenance = provenance_of(recipe, whole, began, kind=PRE_TRAINED, earlier=earlier, **counts)
    if processes.is_first():
        write_start(run, recipe, whole, provenance, listener, earlier=earlier)
        if checkpoint is None and parts.kept is None:
            run.encoder_before.mkdir(exist_ok=True)
            save_encoder(run.encoder_before, parts.encoder(model))
        _say_what_is_heard(recipe, data, provenance, listener)
    if parts.prepare is not None and checkpoint is None:
        parts.prepare(model)
    log = logged(run, listener, tracked(run, recipe))
    with log as heard_by, told_of_divergence("train.encoder_lr and train.head_lr"):
        trainer = pretraining_trainer(recipe, parts, data, section, folder=run.checkpoints, listener=heard_by)
        best = trainer.train(checkpoint)
    row = trainer.best_row()
    assert row is not None
    is_model = parts.kept is not None
    learnt = parts.encoder(best) if parts.kept is None else parts.kept(best)
    found = PretrainedEncoder(
        run.path if is_model else run.encoder,
        sum(parameter.numel() for parameter in learnt.parameters()),
        parts.metric,
        row[f"development_{parts.metric}"],
        row["epoch"],
        is_model,
    )
    del trainer
    if processes.is_first():
        _save(run, recipe, learnt, parts, whole, provenance, found, data.preprocessing)
        write_end(run, {**provenance, parts.metric: found.score, "epoch": found.epoch})
        shutil.rmtree(run.checkpoints, ignore_errors=True)
    processes.wait_for_all()
    return found


def pretraining_trainer(
    recipe: Recipe,
    parts: Pretraining,
    data: PretrainingData,
    section: TrainSection,
    *,
    folder: Path,
    listener: Listener,
) -> Trainer[nn.Module]:
    """Builds the trainer; ``section`` is the train section with batches that fit into memory."""
    clips = clips_in(recipe, data.learnt, data.preprocessing)
    return Trainer(
        parts.model,
        parts.task,
        batches_of(clips.durations_s, section, seed=recipe.seed),
        Loading(parts.dataset, workers=section.workers),
        lambda model: dict(parts.score(model)),
        section,
        groups=partial(_parameter_groups, encoder=parts.encoder, train=section),
        seed=recipe.seed,
        folder=folder,
        listener=listener,
    )


def build_pretraining(recipe: Recipe, *, progress: Progress = silent) -> tuple[Pretraining, PretrainingData]:
    """Builds everything that a recipe with a task works with, but for the trainer.

    Raises:
        ConfigError, CorpusError, ModelError: as ``pretrain_run``.
    """
    data, encoder = _prepared(recipe, earlier_models(recipe), progress)
    return _built(recipe, encoder, data), data


def describe_pretraining(recipe: Recipe, *, progress: Progress = silent) -> dict[str, Any]:
    """Describes a run without training: parameters, clips, batches, memory estimate."""
    with processes.joined():
        parts, data = build_pretraining(recipe, progress=progress)
        parts.model.to(best_device())
        parts.task.to(best_device())
        section, clips = _fitting(recipe, parts, data, None), clips_in(recipe, data.learnt, data.preprocessing)
        batches = batches_of(clips.durations_s, section, seed=recipe.seed)
        sizes = [len(batch) for batch in batches]
        return {
            "task": recipe.task and recipe.task.model_dump(mode="json"),
            "encoder": parts.encoder(parts.model).config,
            **parts.information,
            **parameter_counts(parts.model),
            "encoder_parameters": sum(p.numel() for p in parts.encoder(parts.model).parameters()),
            "utterances": {TRAIN: len(data.learnt), "held_out": len(data.held_out)},
            "left_out": dict(data.learnt.information.get("left_out", {})),
            "lengths": dict(data.learnt.information.get("lengths", {})),
            "batches": {"an_epoch": len(sizes), "smallest": min(sizes), "largest": max(sizes)},
            "optimiser_steps": len(sizes) // batches.together * section.epochs,
            "memory_gb": memory_estimate(section, parts.model, parts.task, clips),
        }


def _prepared(recipe: Recipe, earlier: Sequence[EarlierModel], progress: Progress) -> tuple[PretrainingData, Backbone]:
    """The recordings, read by the first process, and the encoder."""
    refuse_absent_trackers(recipe)
    manifest = processes.from_first(
        pretraining_manifest(recipe, earlier=earlier, progress=progress) if processes.is_first() else None
    )
    assert manifest is not None
    encoder = build_backbone(recipe)
    window_s = encoder.window_samples and encoder.window_samples / 16000
    if window_s is not None and recipe.data.max_duration_s > window_s:
        raise ConfigError(
            f"data.max_duration_s is {recipe.data.max_duration_s:g}, but this encoder hears {window_s:g} s at a time;"
            f" pre-training takes no longer clips: lower it, and set data.too_long: cut or drop."
        )
    preprocessing = build_preprocessing(recipe, encoder)
    refuse_short_crop(recipe, preprocessing)
    learnt, held_out = _parts(settle_lengths(recipe, manifest, preprocessing), recipe.seed)
    return PretrainingData(learnt, held_out, preprocessing, progress), encoder


def _parts(manifest: Manifest, seed: int) -> tuple[Manifest, Manifest]:
    """Clips to learn from, and those that choose the epoch.

    Raises:
        CorpusError: for fewer than two clips.
    """
    count = len(manifest)
    if count < 2:
        raise CorpusError(f"Pre-training needs two recordings at least, one of which chooses the epoch; got {count}.")
    few = min(_MOST_HELD_OUT, max(1, round(_HELD_OUT * count)))
    chosen = set(np.random.default_rng(seed).permutation(count)[:few].tolist())
    both = ([], [])
    for place, utterance in enumerate(manifest):
        both[place in chosen].append(utterance)
    learnt, held_out = (manifest.replace_utterances(part) for part in both)
    return learnt, held_out


def _built(recipe: Recipe, encoder: Backbone, data: PretrainingData) -> Pretraining:
    assert recipe.task is not None
    build: Builder = TASKS[recipe.task.name]
    return build(recipe, encoder, data)


def _fitting(recipe: Recipe, parts: Pretraining, data: PretrainingData, checkpoint: Path | None) -> TrainSection:
    """The train section, whose metric is the task's, with batches that fit into its ``memory_gb``."""
    train = recipe.train.model_copy(update={"metric": parts.metric})
    if checkpoint is not None:
        state = state_of(checkpoint)
        return train.model_copy(update={"batch_seconds": state.batch_seconds, "accumulate": state.accumulate})
    if train.memory_gb is None or not processes.is_first():
        return train
    return within_memory(train, parts.model, parts.task, clips_in(recipe, data.learnt, data.preprocessing))


def _parameter_groups(model: nn.Module, *, encoder: Any, train: TrainSection) -> Groups:
    """Encoder, layer mix and what is built on them with their learning rates; no weight decay on vectors."""
    inside = {id(parameter) for parameter in encoder(model).parameters()}

    def rate(name: str, parameter: nn.Parameter) -> float:
        if id(parameter) in inside:
            return train.encoder_lr
        return train.mix_lr if ".layer_mix." in name else train.head_lr

    return groups_by_rate(model, rate, train)


def _say_what_is_heard(recipe: Recipe, data: PretrainingData, counts: Mapping[str, Any], listener: Listener) -> None:
    hours = sum(utterance.duration_s or 0.0 for utterance in data.learnt) / 3600
    listener.say(f"{len(data.learnt)} recordings, {hours:.2f} h, without labels; {len(data.held_out)} choose the epoch")
    listener.say(f"{counts['trainable']:,} of {counts['parameters']:,} parameters train")
    cut = "" if counts["accumulate"] == recipe.train.accumulate else ", cut to fit into train.memory_gb"
    listener.say(f"batches of {counts['batch_seconds']:.1f} s, {counts['accumulate']} a step in each process{cut}")


def _save(
    run: RunFolder,
    recipe: Recipe,
    learnt: Backbone | EmotionModel,
    parts: Pretraining,
    manifest: Manifest,
    provenance: Mapping[str, Any],
    found: PretrainedEncoder,
    preprocessing: Preprocessing,
) -> None:
    """The encoder, or the model, and its card."""
    hours = sum(utterance.duration_s or 0.0 for utterance in manifest) / 3600
    information = {
        **{name: str(manifest.information.get(name, "unknown")) for name in ("corpus", "licence", "reference")},
        "made from": provenance["encoder"],
        **parts.information,
        "heard": f"{len(manifest)} recordings, {hours:.2f} h, without labels, {provenance['learnt']} of them to learn",
        f"{parts.metric} on recordings held out": f"{found.score:.3f}, epoch {found.epoch}",
        **{name: provenance[name] for name in ("recipe", "seed", "manifest_fingerprint")},
    }
    is_start = isinstance(learnt, EmotionModel)
    config = learnt.backbone.config if isinstance(learnt, EmotionModel) else learnt.config
    card = encoder_card(
        title=recipe.name, config=config, information=information, notice=recipe.notice, is_start=is_start
    )
    if isinstance(learnt, EmotionModel):
        save_model(run.model, learnt, preprocessing, card=card)
        return
    run.encoder.mkdir(exist_ok=True)
    save_encoder(run.encoder, learnt)
    write_text(run.encoder / "README.md", card)
