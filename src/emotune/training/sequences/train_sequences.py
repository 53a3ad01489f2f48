"""Training of sequence models as a recipe says: adapters and task tokens, or everything, of several tasks together."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch

from emotune.config.reading import dump_recipe
from emotune.config.sequences import SequenceRecipe
from emotune.config.training import TrainSection
from emotune.data.dataset import EmotionDataset
from emotune.data.loading import Loading
from emotune.errors import ConfigError
from emotune.inference.sequences.task_data import TaskData, read_tasks
from emotune.inference.sequences.writer import load
from emotune.io.tables import write_text
from emotune.models.backbones import BACKBONES
from emotune.models.backbones.checkpoint import load_pretrained
from emotune.models.sequences.adapter_file import add_adapters
from emotune.models.sequences.base import Base, build_base, load_base
from emotune.models.sequences.sequence_model import SequenceModel
from emotune.models.sequences.store import preprocessing_of, save_sequences
from emotune.runtime.listener import Listener
from emotune.runtime.progress import Progress, silent
from emotune.schema.run_folder import RunFolder
from emotune.schema.splits import DEVELOPMENT
from emotune.training.build import best_device
from emotune.training.loop import processes
from emotune.training.loop.checkpoints import Checkpoints, state_of
from emotune.training.loop.trainer import Groups, Trainer, batches_of
from emotune.training.parameters import groups_by_rate, parameter_counts
from emotune.training.run import opened, provenance_of, told_of_divergence, write_end, write_provenance
from emotune.training.run_log import logged
from emotune.training.sequences.data import training_data
from emotune.training.sequences.evaluate import ScoredTask, origin_of, score_sequences
from emotune.training.sequences.score import development_scores
from emotune.training.sequences.sequence_task import SequenceTask, Shares

KIND = "sequences"


def build_model(recipe: SequenceRecipe, data: Sequence[TaskData]) -> tuple[SequenceModel, Base]:
    """The base with the adapters that the recipe starts with, frozen, and those that it trains.

    Raises:
        ConfigError: for adapters that do not go together.
        ModelError: for a base or adapters that cannot be read.
    """
    section = recipe.model
    torch.manual_seed(recipe.seed)
    if section.base is not None:
        base = load_base(section.base)
    else:
        assert section.backbone is not None
        encoder = section.backbone
        if encoder.checkpoint is not None:
            backbone = load_pretrained(
                encoder.name,
                encoder.checkpoint,
                layers=encoder.layers,
                final_norm=encoder.final_norm,
                revision=encoder.revision,
            )
        else:
            settings = {**(encoder.config or {}), "final_norm": encoder.final_norm}
            backbone = BACKBONES[encoder.name].from_config(settings, layers=encoder.layers)
        base = Base(build_base(backbone, section.decoder))
    model = SequenceModel(base.model, trains=section.trains)
    add_adapters(model, section.adapters, base=base.fingerprint)
    model.freeze(list(model.tasks))
    for own in data:
        model.add(own.task)
    return model, base


def count_parameters(model: SequenceModel) -> dict[str, Any]:
    """Parameters in all, those that train, their share, and those of each part."""
    counts = parameter_counts(model)
    return {
        **counts,
        "trainable_share": counts["trainable"] / counts["parameters"],
        "parameters_by_part": dict(model.parameter_counts()),
    }


def parameter_groups(model: SequenceModel, train: TrainSection) -> Groups:
    """The base and the parts of tasks with their learning rates; no weight decay on vectors."""
    return groups_by_rate(
        model, lambda name, _: train.encoder_lr if name.startswith("base.") else train.adapter_lr, train
    )


def sequence_trainer(
    recipe: SequenceRecipe,
    model: SequenceModel,
    dataset: EmotionDataset,
    score: Callable[[SequenceModel], dict[str, float]],
    *,
    folder: Path,
    listener: Listener,
) -> Trainer[SequenceModel]:
    """Builds the trainer; arguments as for ``Trainer``."""
    durations_s = [utterance.duration_s or 0.0 for utterance in dataset.manifest]
    shares = {name: Shares(section.weight, section.ctc) for name, section in recipe.tasks.items()}
    return Trainer(
        model,
        SequenceTask(shares),
        batches_of(durations_s, recipe.train, seed=recipe.seed),
        Loading(dataset, workers=recipe.train.workers),
        score,
        recipe.train,
        groups=partial(parameter_groups, train=recipe.train),
        seed=recipe.seed,
        folder=folder,
        listener=listener,
    )


def train_sequences(
    recipe: SequenceRecipe, folder: Path, *, listener: Listener | None = None, progress: Progress = silent
) -> list[ScoredTask]:
    """Trains the recipe's tasks together, saves the best epoch's adapters, and scores them on development.

    The same recipe in the same folder continues an interrupted run from its last checkpoint.

    Raises:
        ConfigError: when the folder holds a finished run, or one of another recipe.
        CorpusError: for a manifest without the splits or the column that a task needs.
        ModelError: for a base that cannot be read, or training that diverges.
    """
    listener = listener or Listener()
    run = RunFolder(folder)
    with processes.joined(), opened(run, recipe, KIND) as began:
        processes.wait_for_all()
        data = read_tasks(recipe)
        model, base = build_model(recipe, data)
        model = model.to(best_device())
        dataset = training_data(data, model.tasks, preprocessing_of(base.model.backbone), seed=recipe.seed)
        found, said = Checkpoints(run.checkpoints).newest() if processes.is_first() else (None, [])
        checkpoint = processes.from_first(found)
        fingerprints = {own.task.name: own.fingerprint() for own in data}
        provenance = provenance_of(
            recipe,
            dataset.manifest,
            began,
            kind=KIND,
            manifests=fingerprints,
            base=base.fingerprint,
            **count_parameters(model),
        )
        if processes.is_first():
            for message in said:
                listener.say(message)
            _write_start(run, recipe, provenance, data, listener)
            if checkpoint is not None:
                listener.say(f"continuing from {checkpoint.name}")
                if state_of(checkpoint).processes != processes.count():
                    raise ConfigError(
                        f"The run was interrupted with {state_of(checkpoint).processes} processes: start as many again."
                    )
        score = partial(development_scores, recipe, data)
        with logged(run, listener) as heard_by, told_of_divergence("train.adapter_lr and train.encoder_lr"):
            trainer = sequence_trainer(recipe, model, dataset, score, folder=run.checkpoints, listener=heard_by)
            best = trainer.train(checkpoint)
        scored: list[ScoredTask] = []
        if processes.is_first():
            save_sequences(run.model, best.cpu().eval(), base)
            sets = {own.task.name: own.part(DEVELOPMENT) for own in data}
            writer = load(run.model, batch_seconds=recipe.train.batch_seconds)
            about = origin_of(run, recipe, data, DEVELOPMENT)
            scored = score_sequences(writer, sets, run.results(DEVELOPMENT), about=about, progress=progress)
            write_end(run, provenance)
            shutil.rmtree(run.checkpoints, ignore_errors=True)
        return processes.from_first(scored)


def describe(recipe: SequenceRecipe) -> dict[str, Any]:
    """Describes a run without training: tasks, clips, batches and parameters."""
    data = read_tasks(recipe)
    model, base = build_model(recipe, data)
    dataset = training_data(data, model.tasks, preprocessing_of(base.model.backbone), seed=recipe.seed)
    batches = batches_of([u.duration_s or 0.0 for u in dataset.manifest], recipe.train, seed=recipe.seed)
    return {
        **count_parameters(model),
        "tasks": {
            own.task.name: {
                "items": len(own.task.items),
                **{split: len(own.split(split)) for split in ("train", "development")},
                "without_an_answer": own.without,
            }
            for own in data
        },
        "batches": {"an_epoch": len(batches)},
        "optimiser_steps": len(batches) // batches.together * recipe.train.epochs,
    }


def _write_start(
    run: RunFolder, recipe: SequenceRecipe, provenance: Mapping[str, Any], data: Sequence[TaskData], listener: Listener
) -> None:
    """Writes what is known before the work begins.

    Raises:
        ConfigError: when an interrupted run saw other data or another base.
    """
    earlier = run.information() if run.provenance.exists() else {}
    for name in ("manifests", "base"):
        if earlier.get(name) not in (None, provenance[name]):
            raise ConfigError(f"{run.path} holds an unfinished run on another {name}; choose another folder with -o.")
    for own in data:
        if own.without:
            listener.say(f"left out: {own.without} utterances without {own.task.column} for {own.task.name}")
    run.path.mkdir(parents=True, exist_ok=True)
    write_text(run.recipe, dump_recipe(recipe))
    write_provenance(run, provenance)
    listener.say(
        f"{provenance['trainable']:,} of {provenance['parameters']:,} parameters train"
        f" ({provenance['trainable_share']:.1%})"
    )
