"""A thin transformers Trainer: our batches, our loss normalisation, our development score."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader
from transformers import (
    EarlyStoppingCallback,
    PrinterCallback,
    ProgressCallback,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)

from emotune.batch import Batch
from emotune.config import Recipe
from emotune.data.dataset import EmotionDataset, collate
from emotune.data.duration_batches import DurationBatches
from emotune.errors import ConfigError
from emotune.losses import CombinedLoss
from emotune.models.emotion_model import EmotionModel
from emotune.training.parameters import GradualUnfreezing, parameter_groups
from emotune.training.whole_step import Part, parts_of_step, processes, summed

_AVERAGE = "average.safetensors"  # beside the weights in a checkpoint
Score = Callable[[EmotionModel], dict[str, float]]


class EmotionTrainer(Trainer):
    """Trains an ``EmotionModel``; scores the whole development split after every epoch and keeps the best checkpoint.

    With ``train.average`` it is the moving average of the weights that is scored, kept and given back at the end.

    Args:
        model: what is trained.
        loss: its losses.
        dataset: the training split.
        score: model -> development figures by name, through the same Predictor that users call.
        recipe: the train section and the seed.
        folder: the run folder; checkpoints and TensorBoard files go below it.
        callbacks: progress and the like.
    """

    def __init__(
        self,
        model: EmotionModel,
        loss: CombinedLoss,
        dataset: EmotionDataset,
        score: Score,
        recipe: Recipe,
        folder: Path,
        callbacks: list[TrainerCallback],
    ) -> None:
        self.emotion_loss = loss
        self.dataset = dataset
        self.score = score
        self.recipe = recipe
        if recipe.train.patience is not None:
            callbacks = [*callbacks, EarlyStoppingCallback(early_stopping_patience=recipe.train.patience)]
        super().__init__(
            model,
            training_arguments(recipe, folder),
            train_dataset=dataset,
            eval_dataset=[],  # the Trainer wants one; ``evaluate`` scores through the Predictor instead
            callbacks=callbacks,
        )
        if recipe.train.unfreeze is not None:
            self.add_callback(GradualUnfreezing(recipe.train.unfreeze))
        self.remove_callback(PrinterCallback)
        self.remove_callback(ProgressCallback)
        self.loss_is_scaled_for_ga = True  # compute_loss divides by the normalisers of the whole optimiser step
        self.emotion_loss.to(self.args.device)
        decay = recipe.train.average
        averaging = None if decay is None else get_ema_multi_avg_fn(decay)
        self.average = None if averaging is None else AveragedModel(model, multi_avg_fn=averaging, use_buffers=False)

    def get_train_dataloader(self) -> DataLoader[Any]:
        sampler = batches_of(self.dataset, self.recipe)
        workers = self.recipe.train.workers
        loader = DataLoader(self.dataset, batch_sampler=sampler, collate_fn=_as_inputs, num_workers=workers)
        return self.accelerator.prepare(loader)

    def create_optimizer(self, model: nn.Module | None = None) -> torch.optim.Optimizer:
        if self.optimizer is None:
            self.optimizer = torch.optim.AdamW(parameter_groups(self._emotion_model(), self.recipe))
            if self.average is not None:
                average = self.average
                self.optimizer.register_step_post_hook(lambda *_: average.update_parameters(self._emotion_model()))
        return self.optimizer

    def get_batch_samples(
        self, epoch_iterator: Iterator[Any], num_batches: int, device: torch.device
    ) -> tuple[list[dict[str, Any]], Any]:
        """The batches of one optimiser step, and for each mean the normaliser over all of them."""
        steps: list[dict[str, Any]] = list(islice(epoch_iterator, num_batches))
        batches: list[Batch] = [inputs["batch"] for inputs in steps]
        if not batches:
            return steps, {}
        targets = [batch.targets.to(device) for batch in batches if batch.targets is not None]
        if self.emotion_loss.wholes and (len(batches) > 1 or processes() > 1):
            model = self._emotion_model().train()
            with self.compute_loss_context_manager():
                parts = parts_of_step(model, batches, self.emotion_loss.whole_losses, device)
            steps = [inputs | {"part": part} for inputs, part in zip(steps, parts, strict=True)]
        return steps, summed([self.emotion_loss.normalisers(truth) for truth in targets])

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Any = None,
    ) -> Any:
        batch: Batch = inputs["batch"].to(self.args.device)
        part: Part | None = inputs.get("part")
        assert batch.targets is not None
        if part is not None:
            part.random.restore()
        output = model(batch)
        loss = self.emotion_loss.mean_losses(output, batch.targets, num_items_in_batch)
        if part is not None:
            loss = loss + part.surrogate(output.dimensions)
        elif self.emotion_loss.wholes:
            assert batch.targets.dimensions is not None
            loss = loss + self.emotion_loss.whole_losses(output.dimensions, batch.targets.dimensions)
        if not torch.isfinite(loss):
            raise FloatingPointError(f"the loss became {loss.item()} at step {self.state.global_step}")
        loss = loss * processes()
        return (loss, output) if return_outputs else loss

    def evaluate(self, *_: Any, **__: Any) -> dict[str, float]:
        figures = {f"eval_{name}": value for name, value in self.score(self._scored_model()).items()}
        self.log(dict(figures))  # log adds the epoch to what it is given
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, figures)
        return figures

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Any] | None = None) -> None:
        super()._save(output_dir, state_dict)
        if self.average is not None and output_dir is not None:
            save_file(self.average.state_dict(), Path(output_dir) / _AVERAGE)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: nn.Module | None = None) -> None:
        super()._load_from_checkpoint(resume_from_checkpoint, model)
        if self.average is not None:
            self.average.load_state_dict(load_file(Path(resume_from_checkpoint) / _AVERAGE))

    def _load_best_model(self) -> None:
        super()._load_best_model()
        if self.average is not None and self.state.best_model_checkpoint is not None:
            self.average.load_state_dict(load_file(Path(self.state.best_model_checkpoint) / _AVERAGE))

    def best_model(self) -> EmotionModel:
        """After training: the model, or the moving average, of the best epoch."""
        return self._scored_model()

    def floating_point_ops(self, inputs: Any) -> int:
        return 0

    def _scored_model(self) -> EmotionModel:
        if self.average is None:
            return self._emotion_model()
        assert isinstance(self.average.module, EmotionModel)
        return self.average.module

    def _emotion_model(self) -> EmotionModel:
        model = self.accelerator.unwrap_model(self.model)
        assert isinstance(model, EmotionModel)
        return model


def _as_inputs(examples: list[Any]) -> dict[str, Batch]:
    """The Trainer hands mappings around; ours holds one batch."""
    return {"batch": collate(examples)}


def batches_of(dataset: EmotionDataset, recipe: Recipe) -> DurationBatches:
    """Training batches of similar duration, about ``train.batch_seconds`` each."""
    crop_s = recipe.augmentation.crop_s or math.inf
    durations = [min(utterance.duration_s or 0.0, crop_s) for utterance in dataset.manifest]
    return DurationBatches(durations, batch_seconds=recipe.train.batch_seconds, seed=recipe.seed)


def training_arguments(recipe: Recipe, folder: Path) -> TrainingArguments:
    """The Trainer's settings that follow from the recipe."""
    train = recipe.train
    arguments = TrainingArguments(
        output_dir=str(folder / "checkpoints"),
        report_to="none",
        seed=recipe.seed,
        num_train_epochs=train.epochs,
        gradient_accumulation_steps=train.accumulate,
        learning_rate=train.head_lr,
        lr_scheduler_type=train.schedule,
        warmup_steps=train.warmup_share,
        max_grad_norm=train.clip_norm,
        bf16=train.precision == "bf16",
        logging_strategy="steps",
        logging_steps=1,
        eval_strategy="epoch",
        save_strategy="epoch",
        save_total_limit=1,
        load_best_model_at_end=True,
        metric_for_best_model=train.metric,
        greater_is_better=True,
        remove_unused_columns=False,
        disable_tqdm=True,
        use_cpu=not torch.cuda.is_available(),
        average_tokens_across_devices=False,
        restore_callback_states_from_checkpoint=True,
    )
    if arguments.world_size > 1:
        raise ConfigError("Training runs in one process so far; start `emotune train` without torchrun.")
    arguments._n_gpu = min(
        arguments.n_gpu, 1
    )  # several GPUs in one process would need DataParallel, which splits batches
    return arguments
