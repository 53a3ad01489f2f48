"""Fine-tuning: the recipe's model trained on its training split, the best epoch kept, scored on development."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from emotune.config.recipe import Recipe
from emotune.config.training import TrainSection
from emotune.data.loading import Loading
from emotune.errors import ConfigError
from emotune.evaluation import Evaluation
from emotune.models.adapters.task_vectors import task_coefficients
from emotune.models.backbones.remembered import RememberedStates
from emotune.models.emotion_model import EmotionModel
from emotune.runtime.listener import Listener
from emotune.runtime.progress import Progress, silent
from emotune.schema.run_folder import RunFolder
from emotune.schema.splits import DEVELOPMENT, TRAIN
from emotune.training import linear
from emotune.training.batching import clips_of, fitting
from emotune.training.build import Experiment, best_device, build_experiment, hears_the_same
from emotune.training.development import development_scores
from emotune.training.features import pooled_together
from emotune.training.loop import processes
from emotune.training.loop.checkpoints import Checkpoints, state_of
from emotune.training.loop.estimate import memory_estimate
from emotune.training.loop.trainer import Trainer, batches_of
from emotune.training.manifest import build_manifest, without_votes
from emotune.training.parameters import GradualUnfreezing, count_parameters, parameter_groups
from emotune.training.run import (
    Beginning,
    finish_run,
    metric_of,
    opened,
    provenance_of,
    told_of_divergence,
    write_provenance,
    write_start,
)
from emotune.training.run_log import logged
from emotune.training.sampling import mean_times
from emotune.training.speaker_means import without_speaker_means
from emotune.training.start import merged_models
from emotune.training.tracking import refuse_absent_trackers, tracked

_PROBED = "started_from_probe"


def train_run(
    recipe: Recipe, folder: Path, *, listener: Listener | None = None, progress: Progress = silent
) -> Evaluation:
    """Fine-tune as the recipe says, save the model of the best epoch, and score it on the development split.

    The same recipe in the same folder continues an interrupted run from its last checkpoint. Started by a launcher such
    as ``torchrun``, all its processes train together; the first one writes the folder, which all must see.

    Raises:
        ConfigError: when the folder holds a finished run, or one of another recipe.
        CorpusError: for a manifest without splits ``train`` and ``development``, or one that cannot be learnt from.
    """
    run = RunFolder(folder)
    with processes.joined(), opened(run, recipe, "fine-tuned") as began:
        processes.wait_for_all()  # nobody writes into the folder before everybody has looked
        return _train_run(recipe, run, began, listener or Listener(), progress if processes.is_first() else silent)


def _train_run(recipe: Recipe, run: RunFolder, began: Beginning, listener: Listener, progress: Progress) -> Evaluation:
    experiment = _built(recipe, progress)
    earlier = run.information() if run.provenance.exists() else {}
    model, manifest = experiment.model.to(best_device()), experiment.manifest
    checkpoint = processes.from_first(last_checkpoint(Checkpoints(run.checkpoints), listener))
    section = processes.from_first(fitting(recipe, experiment, checkpoint) if processes.is_first() else recipe.train)
    remember(model, recipe)
    counts = {
        **count_parameters(model),
        "processes": processes.count(),
        "batch_seconds": section.batch_seconds,
        "accumulate": section.accumulate,
    }
    lesson = experiment.lesson
    about = {} if lesson is None else dict(lesson.provenance)
    if merged := merged_models(recipe):
        about["merged"] = merged
    _refuse_other_models(run, earlier, about)
    heard = experiment.earlier
    provenance = provenance_of(recipe, manifest, began, kind="fine-tuned", earlier=heard, **counts, **about)
    if checkpoint is not None and _PROBED in earlier:
        provenance[_PROBED] = earlier[_PROBED]
    if processes.is_first():
        write_start(run, recipe, manifest, provenance, listener, earlier=heard)
        _say_what_trains(recipe, experiment, provenance, listener)
    if lesson is not None:
        said_to = listener if processes.is_first() else Listener()
        lesson.prepare(experiment.train, listener=said_to, progress=progress)
    if recipe.train.start_from_probe and checkpoint is None:
        reached = _start_from_probe(experiment, recipe, progress)
        provenance[_PROBED] = {f"development_{recipe.train.metric}": reached}
        if processes.is_first():
            listener.say(f"head started from a probe: development {recipe.train.metric} {reached:.3f}")
            write_provenance(run, provenance)
    elif recipe.train.standardize_features and checkpoint is None:
        _standardize(experiment, progress)
    score = partial(development_scores, experiment, recipe.train.batch_seconds, recipe.train.workers, listener)
    log = logged(run, listener, tracked(run, recipe))
    with log as heard_by, told_of_divergence("train.encoder_lr and train.head_lr"):
        trainer = trainer_of(recipe, experiment, section, score, folder=run.checkpoints, listener=heard_by)
        best = trainer.train(checkpoint)
        chosen = trainer.best_row()
        del trainer  # and with it the optimiser's memory
    assert chosen is not None  # or training would have said so
    provenance["kept_epoch"] = chosen["epoch"]
    if not chosen["epoch"] and processes.is_first():
        listener.say("no epoch is better on development than the probe it started from, which is kept")
    if merged:
        provenance["task_coefficients"] = task_coefficients(best.backbone)
    evaluation = None
    if processes.is_first():
        evaluation = finish_run(
            run,
            recipe,
            _finished(best),
            experiment.preprocessing,
            manifest,
            provenance,
            progress,
            conditioner=experiment.conditioner,
            prior=None if lesson is None else lesson.prior,
        )
        shutil.rmtree(run.checkpoints, ignore_errors=True)
    evaluation = processes.from_first(evaluation)
    assert evaluation is not None
    return evaluation


def _built(recipe: Recipe, progress: Progress) -> Experiment:
    """All that a run, or its description, begins with; the recordings are read by the first process.

    Raises:
        ConfigError, CorpusError, ModelError: for what cannot be trained, as far as it is known before the work.
    """
    if recipe.train.fsdp and processes.count() == 1:
        raise ConfigError("train.fsdp needs several processes: start with torchrun, or leave it out.")
    refuse_absent_trackers(recipe)
    manifest = processes.from_first(build_manifest(recipe, progress=progress) if processes.is_first() else None)
    assert manifest is not None
    return build_experiment(recipe, manifest)


def _refuse_other_models(run: RunFolder, earlier: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Refuses to go on with teachers or merged models that are not those of the run's beginning, whatever their names.

    Raises:
        ConfigError: naming the run.
    """
    for key, what in (("teachers", "another teacher"), ("merged", "other merged models")):
        before, after = ([own["fingerprint"] for own in facts.get(key, ())] for facts in (earlier, now))
        if earlier and before != after:
            raise ConfigError(f"{run.path} holds an unfinished run of {what}; choose another folder with -o.")


def trainer_of(
    recipe: Recipe,
    experiment: Experiment,
    section: TrainSection,
    score: Callable[[EmotionModel], dict[str, float]],
    *,
    folder: Path,
    listener: Listener,
) -> Trainer[EmotionModel]:
    """Builds the trainer of an experiment.

    Args:
        recipe: with the seed.
        experiment: what it makes of its manifest.
        section: its train section, with batches that fit into memory.
        score, folder, listener: as for ``Trainer``.
    """
    clips, unfreeze = clips_of(recipe, experiment), section.unfreeze
    return Trainer(
        experiment.model,
        experiment.task,
        batches_of(clips.durations_s, section, seed=recipe.seed, draws=clips.draws),
        Loading(experiment.dataset, workers=section.workers),
        score,
        section,
        groups=partial(parameter_groups, train=section),
        unfreezing=None if unfreeze is None else lambda model: GradualUnfreezing(model, unfreeze).begin_epoch,
        seed=recipe.seed,
        folder=folder,
        listener=listener,
        scores_start=section.start_from_probe,
    )


def remember(model: EmotionModel, recipe: Recipe) -> None:
    """Keeps what frozen encoders, or their frozen front ends, give for clips that are the same in every epoch."""
    front_ends = [module for encoder in model.encoders for module in encoder.front_end()]
    frozen = not any(parameter.requires_grad for module in front_ends for parameter in module.parameters())
    if not frozen or not hears_the_same(recipe) or not recipe.train.states_gb or recipe.train.fsdp:
        return
    model.ask_for_what_is_mixed()
    for stream in model.streams:
        if any(parameter.requires_grad for parameter in stream.backbone.parameters()):
            stream.backbone.remember_front_end(most_gb=recipe.train.states_gb)
        else:
            stream.remembered = RememberedStates(stream.backbone, most_gb=recipe.train.states_gb)


def _finished(model: EmotionModel) -> EmotionModel:
    """The model as it is kept: on the CPU, without a discriminator, and plain where an adapter can be folded in."""
    model = model.cpu().eval()
    model.discriminator = None
    model.merge_adapter()
    return model


def _say_what_trains(recipe: Recipe, experiment: Experiment, counts: Mapping[str, Any], listener: Listener) -> None:
    parts = ", ".join(f"{part} {count:,}" for part, count in counts["trainable_by_part"].items() if count)
    listener.say(f"{counts['trainable']:,} of {counts['parameters']:,} parameters train: {parts}")
    train = recipe.train
    cut = "" if counts["accumulate"] == train.accumulate else f", cut to fit into train.memory_gb={train.memory_gb:g}"
    listener.say(f"batches of {counts['batch_seconds']:.1f} s, {counts['accumulate']} a step in each process{cut}")
    if (attacks := train.adversarial) is not None:
        listener.say(
            f"{attacks.attack} attacks a share of {attacks.share:g} of each batch, {attacks.snr_db:g} dB under it"
        )
    if "votes" in experiment.task.loss.truths:
        voteless = without_votes(experiment.train, experiment.space.classes)
        listener.say(
            f"votes: {voteless} of {len(experiment.train)} training utterances have none and teach no vote loss"
        )


def describe(recipe: Recipe, *, progress: Progress = silent) -> dict[str, Any]:
    """Describes a training run without training: model, trainable parameters, batches, memory estimate.

    Started by a launcher, its processes are counted.
    """
    with processes.joined():
        return _describe(recipe, progress)


def _describe(recipe: Recipe, progress: Progress) -> dict[str, Any]:
    experiment = _built(recipe, progress)
    experiment.model.to(best_device())
    section, clips = fitting(recipe, experiment), clips_of(recipe, experiment)
    batches = batches_of(clips.durations_s, section, seed=recipe.seed, draws=clips.draws)
    sizes = [len(batch) for batch in batches]
    return {
        "model": {**experiment.model.settings, "losses": list(experiment.task.loss.weights)},
        **({} if recipe.task is None else {"task": recipe.task.model_dump(mode="json")}),
        **count_parameters(experiment.model),
        "utterances": {
            TRAIN: len(experiment.train),
            DEVELOPMENT: len(experiment.development),
            "all": len(experiment.manifest),
        },
        "left_out": dict(experiment.manifest.information.get("left_out", {})),
        "lengths": dict(experiment.manifest.information.get("lengths", {})),
        "batches": {"an_epoch": len(sizes), "smallest": min(sizes), "largest": max(sizes)},
        "optimiser_steps": len(sizes) // batches.together * section.epochs,
        "memory_gb": memory_estimate(section, experiment.model, experiment.task, clips),
    }


def last_checkpoint(checkpoints: Checkpoints, listener: Listener) -> Path | None:
    """The newest whole checkpoint of an interrupted run; what was left out on the way is said by the first process.

    Raises:
        ConfigError: when the run had another number of processes.
    """
    if not processes.is_first():
        return None
    checkpoint, said = checkpoints.newest()
    for message in said:
        listener.say(message)
    if checkpoint is not None:
        before = state_of(checkpoint).processes
        if before != processes.count():
            raise ConfigError(
                f"The run was interrupted with {before} processes and cannot go on with {processes.count()}: an"
                f" optimiser step would hold other batches. Start {before} again."
            )
        listener.say(f"continuing from {checkpoint.name}")
    return checkpoint


def _standardize(experiment: Experiment, progress: Progress) -> None:
    """Gives the model mean and standard deviation of the untrained model's pooled features over the training split."""
    pooled = pooled_together(experiment.model, experiment.preprocessing, experiment.train, progress=progress)
    experiment.model.standardize.fit(torch.from_numpy(pooled))


def _start_from_probe(experiment: Experiment, recipe: Recipe, progress: Progress) -> float:
    """Fits linear models to the untrained model's pooled features, one for each head, and copies them into the heads.

    Regularisation is chosen on development; where every layer has its head, the best layer chooses it for all.

    Returns:
        The development score that chose.
    """
    model, train = experiment.model, experiment.train
    both = train.replace_utterances([*train, *experiment.development])
    features = pooled_together(model, experiment.preprocessing, both, progress=progress)
    features = features.reshape(len(both), -1, features.shape[-1])  # (utterances, heads, features)
    in_train = np.arange(len(both)) < len(train)
    if recipe.probe.standardize == "speaker":
        features[in_train] = without_speaker_means(features[in_train], [utterance.speaker for utterance in train])
    times = mean_times(train, recipe.train.sampling)
    choice = linear.choose(
        features,
        both,
        in_train,
        ~in_train,
        experiment.space,
        grid=recipe.probe.inverse_regularisation,
        score=partial(metric_of, metric=recipe.train.metric),
        times=np.concatenate([times, np.ones(len(experiment.development))]),
        progress=progress,
    )
    fitted = [
        linear.fit_linear(
            features[in_train, head],
            train,
            experiment.space,
            inverse_regularisation=choice.inverse_regularisation,
            times=times,
        )
        for head in range(features.shape[1])
    ]
    linear.copy_into(model, fitted)
    return choice.score
