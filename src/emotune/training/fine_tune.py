"""Fine-tuning: the recipe's model trained on its training split, the best epoch kept, scored on development."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from torch.utils.tensorboard import SummaryWriter
from transformers import TrainerCallback, set_seed
from transformers.trainer_utils import get_last_checkpoint

from emotune.config import Recipe
from emotune.data.dataset import class_index
from emotune.errors import AudioError, CorpusError, ModelError
from emotune.evaluation import Evaluation, scores
from emotune.inference.predictor import Predictor
from emotune.inference.torch_engine import TorchEngine
from emotune.manifest import Manifest
from emotune.metrics import negative_log_likelihood
from emotune.models.emotion_model import EmotionModel
from emotune.preprocessing import Preprocessing
from emotune.progress import Progress, silent
from emotune.run_folder import RunFolder
from emotune.tables import to_json, write_text
from emotune.training import linear
from emotune.training.build import (
    DEVELOPMENT,
    TRAIN,
    VOTE_LOSSES,
    Experiment,
    best_device,
    build_experiment,
    build_manifest,
    count_parameters,
    without_votes,
)
from emotune.training.estimate import memory_estimate
from emotune.training.features import pooled_features
from emotune.training.run import (
    Listener,
    Quiet,
    finish_run,
    metric_of,
    open_run,
    provenance_of,
    write_start,
)
from emotune.training.trainer import EmotionTrainer, batches_of


def train_run(
    recipe: Recipe, folder: Path, *, listener: Listener | None = None, progress: Progress = silent
) -> Evaluation:
    """Fine-tune as the recipe says, save the model of the best epoch, and score it on the development split.

    The same recipe in the same folder continues an interrupted run from its last whole epoch.

    Raises:
        ConfigError: when the folder holds a finished run, or one of another recipe.
        CorpusError: for a manifest without splits ``train`` and ``development``, or one that cannot be learnt from.
    """
    listener = listener or Quiet()
    run = RunFolder(folder)
    began = open_run(run, recipe, "fine-tuned")
    experiment = build_experiment(recipe, build_manifest(recipe, progress=progress))
    model, manifest = experiment.model.to(best_device()), experiment.manifest
    provenance = provenance_of(recipe, manifest, began, kind="fine-tuned", **count_parameters(model))
    write_start(run, recipe, manifest, provenance, listener)
    listener.say(_what_trains(provenance))
    if any(name in experiment.loss.weights for name in VOTE_LOSSES):
        voteless = without_votes(experiment.train, experiment.space)
        listener.say(
            f"votes: {voteless} of {len(experiment.train)} training utterances have none and teach no vote loss"
        )
    checkpoint = _last_checkpoint(run, listener)
    if recipe.train.start_from_probe and checkpoint is None:
        reached = _start_from_probe(experiment, recipe, progress)
        provenance["started_from_probe"] = {f"development_{recipe.train.metric}": reached}
        listener.say(f"head started from a probe: development {recipe.train.metric} {reached:.3f}")
    score = partial(_development_scores, experiment.development, experiment.preprocessing, recipe.train.batch_seconds)
    log = _RunLog(run, listener)
    set_seed(recipe.seed)
    trainer = EmotionTrainer(model, experiment.loss, experiment.dataset, score, recipe, run.path, [log])
    try:
        trainer.train(resume_from_checkpoint=checkpoint)
    except FloatingPointError as error:
        raise ModelError(f"Training stopped: {error}. Lower train.encoder_lr and train.head_lr.") from error
    except AudioError as error:  # a DataLoader worker wraps it in a traceback
        reason = str(error).rstrip().splitlines()[-1].removeprefix("emotune.errors.AudioError: ")
        raise AudioError(reason) from error
    if trainer.state.best_global_step is None or trainer.state.best_model_checkpoint is None:
        raise ModelError(f"No epoch has a development {recipe.train.metric}: it is undefined on this split.")
    log.finish(trainer.state.best_global_step)
    evaluation = finish_run(
        run, recipe, _finished(trainer.best_model()), experiment.preprocessing, manifest, provenance, progress
    )
    shutil.rmtree(run.checkpoints, ignore_errors=True)
    return evaluation


def _finished(model: EmotionModel) -> EmotionModel:
    """The model as it is kept: on the CPU, and plain where an adapter can be folded in."""
    model = model.cpu().eval()
    model.merge_adapter()
    return model


def _what_trains(counts: Mapping[str, Any]) -> str:
    parts = ", ".join(f"{part} {count:,}" for part, count in counts["trainable_by_part"].items() if count)
    return f"{counts['trainable']:,} of {counts['parameters']:,} parameters train: {parts}"


def describe(recipe: Recipe, *, progress: Progress = silent) -> dict[str, Any]:
    """What a training run would be, without training: model, trainable parameters, batches, memory estimate."""
    experiment = build_experiment(recipe, build_manifest(recipe, progress=progress))
    sizes = [len(batch) for batch in batches_of(experiment.dataset, recipe)]
    return {
        "model": {**experiment.model.settings, "losses": list(experiment.loss.weights)},
        **count_parameters(experiment.model),
        "utterances": {
            TRAIN: len(experiment.train),
            DEVELOPMENT: len(experiment.development),
            "all": len(experiment.manifest),
        },
        "batches": {"an_epoch": len(sizes), "smallest": min(sizes), "largest": max(sizes)},
        "optimiser_steps": -(-len(sizes) // recipe.train.accumulate) * recipe.train.epochs,
        "memory_gb": memory_estimate(experiment.model, recipe.train.batch_seconds),
    }


def _last_checkpoint(run: RunFolder, listener: Listener) -> str | None:
    """The newest whole checkpoint of an interrupted run; a half-written one is passed over, and said."""
    while run.checkpoints.is_dir() and (newest := get_last_checkpoint(str(run.checkpoints))):
        if (Path(newest) / "trainer_state.json").exists():
            listener.say(f"continuing from {Path(newest).name}")
            return newest
        listener.say(f"{Path(newest).name} is incomplete and is left out")
        shutil.rmtree(newest)
    return None


def _development_scores(
    development: Manifest, preprocessing: Preprocessing, batch_seconds: float, model: EmotionModel
) -> dict[str, float]:
    """All figures on the whole development split, through the Predictor, with the mean log loss as ``loss``."""
    predictor = Predictor(TorchEngine(model, preprocessing), batch_seconds=batch_seconds)
    predictions = predictor.predict_manifest(development)
    if predictions.failed:
        raise CorpusError(f"A development utterance cannot be predicted: {predictions.failed[0].error}")
    figures = scores(development, predictions)
    if model.label_space.classes:
        truth = np.array([class_index(utterance, model.label_space) for utterance in development])
        probabilities = np.array([list(row.probabilities.values()) for row in predictions])
        figures["loss"] = negative_log_likelihood(truth[truth >= 0], probabilities[truth >= 0])
    return figures


def _start_from_probe(experiment: Experiment, recipe: Recipe, progress: Progress) -> float:
    """Fit linear models to the untrained model's pooled features, one for each head, and copy them into the heads.

    Regularisation is chosen on development; where every layer has its head, the best layer chooses it for all.

    Returns:
        The development score that chose.
    """
    model, train = experiment.model, experiment.train
    both = train.replace_utterances([*train, *experiment.development])
    features = pooled_features(model, experiment.preprocessing, both, progress=progress)
    features = features.reshape(len(both), -1, features.shape[-1])  # (utterances, heads, features)
    in_train = np.arange(len(both)) < len(train)
    choice = linear.choose(
        features,
        both,
        in_train,
        ~in_train,
        experiment.space,
        grid=recipe.probe.inverse_regularisation,
        score=partial(metric_of, metric=recipe.train.metric),
    )
    fitted = [
        linear.fit_linear(
            features[in_train, head], train, experiment.space, inverse_regularisation=choice.inverse_regularisation
        )
        for head in range(features.shape[1])
    ]
    linear.copy_into(model, fitted)
    return choice.score


class _RunLog(TrainerCallback):
    """Writes one row an epoch to ``metrics.jsonl`` and every figure to TensorBoard, and tells the listener."""

    def __init__(self, run: RunFolder, listener: Listener) -> None:
        self.run = run
        self.listener = listener
        self.rows: list[dict[str, Any]] = []
        self.losses: list[float] = []
        self.writer = SummaryWriter(str(run.path / "tensorboard"))
        self.epoch_began = time.perf_counter()

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.rows = [row for row in self.run.history() if row["epoch"] <= round(state.epoch or 0)]

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.epoch_began = time.perf_counter()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.listener.step(state.global_step, state.max_steps)

    def on_log(self, args: Any, state: Any, control: Any, logs: Mapping[str, float] | None = None, **_: Any) -> None:
        for name, value in (logs or {}).items():
            self.writer.add_scalar(name.replace("eval_", "development/"), value, state.global_step)
        if logs and "loss" in logs:
            self.losses.append(logs["loss"])

    def on_evaluate(
        self, args: Any, state: Any, control: Any, metrics: Mapping[str, float] | None = None, **_: Any
    ) -> None:
        row: dict[str, Any] = {"epoch": round(state.epoch or 0), "step": state.global_step}
        row |= {"train_loss": float(np.mean(self.losses))}
        row |= {name.replace("eval_", "development_"): value for name, value in (metrics or {}).items()}
        row["seconds"] = round(time.perf_counter() - self.epoch_began, 1)
        self.losses = []
        self.rows.append(row)
        self._write()
        self.listener.epoch(row)

    def finish(self, best_step: int | None) -> None:
        """Mark the epoch whose weights were kept."""
        self.writer.close()
        for row in self.rows:
            row["best"] = row["step"] == best_step
        self._write()

    def _write(self) -> None:
        write_text(self.run.metrics, "".join(to_json(row, indent=None) + "\n" for row in self.rows))
