"""The training loop: our batches, our loss normalisation, our development score.

It is plain PyTorch in one process or in many. Everything random comes from the seed, the step and the place of a batch
in it, never from what ran before, so a run that was interrupted goes on as if it had not been.

Several processes share out the batches of an optimiser step and add up their gradients once a step. The batches of a
step are the same for any number of processes with the same product of processes and ``train.accumulate``.
"""

from __future__ import annotations

import dataclasses
import hashlib
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader

from emotune.batch import Batch
from emotune.config import Recipe
from emotune.data.dataset import EmotionDataset, collate
from emotune.data.duration_batches import DurationBatches
from emotune.errors import ConfigError, ModelError
from emotune.losses import CombinedLoss
from emotune.models.emotion_model import EmotionModel
from emotune.out_of_memory import is_out_of_memory
from emotune.training import processes
from emotune.training.checkpoints import Checkpoint, Checkpoints, load
from emotune.training.parallel import Replicated, Sharded
from emotune.training.parameters import GradualUnfreezing, parameter_groups
from emotune.training.schedule import rate_factor
from emotune.training.whole_step import Part, parts_of_step, summed

Score = Callable[[EmotionModel], dict[str, float]]
Value = TypeVar("Value")
Row = dict[str, Any]


class Log(Protocol):
    """Hears how training goes."""

    def step(self, done: int, total: int, figures: Mapping[str, float]) -> None: ...

    def epochs(self, rows: Sequence[Row]) -> None: ...

    def say(self, message: str) -> None: ...


@dataclass
class Progress:
    """How far a run is.

    Args:
        step: optimiser steps done.
        rows: one for each epoch that was scored.
        losses: of the steps of the running epoch.
        seconds: spent on the running epoch.
        most_samples: the largest padded batch that the memory takes, once one was too large.
    """

    step: int = 0
    rows: list[Row] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    seconds: float = 0.0
    most_samples: int | None = None


@dataclass(frozen=True)
class Piece:
    """A micro-batch, or the part of one that memory has room for, with what its dropout is drawn from."""

    key: str
    batch: Batch

    @property
    def samples(self) -> int:
        return self.batch.waveforms.numel()

    def halves(self) -> tuple[Piece, Piece]:
        middle = len(self.batch.waveforms) // 2
        return (
            Piece(f"{self.key}a", self.batch.rows(slice(None, middle))),
            Piece(f"{self.key}b", self.batch.rows(slice(middle, None))),
        )


class StepOutOfMemoryError(Exception):
    """A step did not fit into memory, here or in another process."""

    def __init__(self, *, here: bool) -> None:
        super().__init__()
        self.here = here


class Trainer:
    """Trains an ``EmotionModel``; scores the whole development split after every epoch and keeps the best weights.

    With ``train.average`` it is the moving average of the weights that is scored, kept and given back at the end.

    Args:
        model: what is trained, on its device.
        loss: its losses.
        dataset: the training split.
        score: model -> development figures by name, through the same Predictor that users call.
        recipe: the train section and the seed.
        folder: where checkpoints go.
        log: hears of every step and epoch.
    """

    def __init__(
        self,
        model: EmotionModel,
        loss: CombinedLoss,
        dataset: EmotionDataset,
        score: Score,
        recipe: Recipe,
        folder: Path,
        log: Log,
    ) -> None:
        self.device = next(model.parameters()).device
        if recipe.train.fsdp and processes.count() == 1:
            raise ConfigError("train.fsdp needs several processes: start with torchrun, or leave it out.")
        self.parallel = Sharded(model) if recipe.train.fsdp else Replicated(model)
        self.model = model
        self.loss = loss.to(self.device)
        self.dataset = dataset
        self.score = score
        self.seed = recipe.seed
        self.recipe = recipe
        self.train_section = recipe.train
        self.log = log
        self.checkpoints = Checkpoints(folder)
        self.batches = batches_of(dataset, recipe)
        self.steps_an_epoch = len(self.batches) // self.batches.together
        self.steps = self.steps_an_epoch * recipe.train.epochs
        self.unfreezing = None if recipe.train.unfreeze is None else GradualUnfreezing(model, recipe.train.unfreeze)
        self.trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
        self.optimiser = torch.optim.AdamW(parameter_groups(model, recipe))
        self.rates = [group["lr"] for group in self.optimiser.param_groups]
        decay = recipe.train.average
        averaging = None if decay is None else get_ema_multi_avg_fn(decay)
        self.average = None if averaging is None else AveragedModel(model, multi_avg_fn=averaging, use_buffers=False)
        self.progress = Progress()
        self._saved_at = time.monotonic()

    def train(self, checkpoint: Path | None = None) -> EmotionModel:
        """Train from the beginning or from a checkpoint.

        Returns:
            The model, or the moving average, of the best epoch; in processes other than the first, of the last one.

        Raises:
            FloatingPointError: when a loss is not finite.
            ModelError: when a single clip does not fit into memory, or a checkpoint can be neither written nor read.
        """
        if checkpoint is not None:
            self._restore(load(checkpoint))
        for epoch in range(self.progress.step // self.steps_an_epoch, self.train_section.epochs):
            if self._patience_is_over():
                break
            self._run_epoch(epoch)
        best = self.best_row()
        if best is None:
            raise ModelError(f"No epoch has a development {self.train_section.metric}: it is undefined on this split.")
        model = self._scored_model()
        if processes.is_first():
            model.load_state_dict(self.checkpoints.best(best["step"]))
        return model

    def best_row(self) -> Row | None:
        """The first of the epochs with the highest score; None where there is no score."""
        name = f"development_{self.train_section.metric}"
        scored = [row for row in self.progress.rows if row[name] is not None and not math.isnan(row[name])]
        return max(scored, key=lambda row: row[name], default=None)

    def _patience_is_over(self) -> bool:
        patience, best = self.train_section.patience, self.best_row()
        since = len(self.progress.rows) - (0 if best is None else best["epoch"])
        return patience is not None and since >= patience

    def _run_epoch(self, epoch: int) -> None:
        progress, began = self.progress, time.perf_counter() - self.progress.seconds
        if self.unfreezing is not None:
            self.unfreezing.begin_epoch(epoch)
        for step, batches in self._batches_by_step(epoch):
            loss, norm = self._step(step, batches)
            progress.step = step + 1
            progress.losses.append(loss)
            progress.seconds = time.perf_counter() - began
            rate = max(group["lr"] for group in self.optimiser.param_groups)
            self.log.step(progress.step, self.steps, {"loss": loss, "grad_norm": norm, "learning_rate": rate})
            if progress.step % self.steps_an_epoch and self._is_time_to_save():
                self._save()
        self._score_epoch(epoch)
        self._save()

    def _score_epoch(self, epoch: int) -> None:
        progress, scored = self.progress, self._scored_model()
        figures = {f"development_{name}": value for name, value in self.score(scored).items()}
        row: Row = {"epoch": epoch + 1, "step": progress.step, "train_loss": math.fsum(progress.losses)}
        row["train_loss"] /= len(progress.losses)
        progress.rows.append(row | figures | {"seconds": round(progress.seconds, 1)})
        progress.losses, progress.seconds = [], 0.0
        best = self.best_row()
        if best is not None and best["step"] == progress.step and processes.is_first():
            self.checkpoints.keep_best(progress.step, scored.state_dict())
        self.log.epochs([row | {"best": row is best} for row in progress.rows])

    # --- one optimiser step

    def _batches_by_step(self, epoch: int) -> Iterator[tuple[int, list[Batch]]]:
        """This process's batches of each step of an epoch that is still to be done."""
        first = self.progress.step
        self.batches.set_epoch(epoch)
        done = (first - epoch * self.steps_an_epoch) * self.batches.together
        loader = DataLoader(
            self.dataset,
            batch_sampler=processes.own_part(list(self.batches)[done:]),
            collate_fn=collate,
            num_workers=self.train_section.workers,
            generator=torch.Generator(),  # its own, so that it draws nothing from the one that dropout comes from
        )
        batches = iter(loader)
        for step in range(first, (epoch + 1) * self.steps_an_epoch):
            yield step, list(islice(batches, self.train_section.accumulate))

    def _step(self, step: int, batches: Sequence[Batch]) -> tuple[float, float]:
        """Forward, backward and update; the loss over all processes, and the gradient's norm before clipping."""
        self.model.train()
        targets = [batch.targets.to(self.device) for batch in batches if batch.targets is not None]
        normalisers = summed([self.loss.normalisers(truth) for truth in targets])
        numbers = range(processes.number(), self.batches.together, processes.count())
        pieces = [Piece(f"{self.seed} {step} {number}", batch) for number, batch in zip(numbers, batches, strict=True)]
        loss = processes.summed(self._gradients(self._small_enough(pieces), normalisers)).item()
        if not math.isfinite(loss):
            raise FloatingPointError(f"the loss became {loss} at step {step + 1}")
        self.parallel.add_up(self.trained)
        norm = nn.utils.clip_grad_norm_(self.trained, self.train_section.clip_norm or math.inf)
        factor = rate_factor(
            self.train_section.schedule,
            step,
            total=self.steps,
            warmup=math.ceil(self.steps * self.train_section.warmup_share),
        )
        for group, rate in zip(self.optimiser.param_groups, self.rates, strict=True):
            group["lr"] = rate * factor
        self.optimiser.step()
        self.optimiser.zero_grad()
        if self.average is not None:
            self.average.update_parameters(self.model)
        return loss, float(norm.full_tensor() if isinstance(norm, DTensor) else norm)

    def _gradients(self, pieces: list[Piece], normalisers: Mapping[str, Tensor]) -> Tensor:
        """This process's part of the step's loss, with its gradients; what does not fit into memory is split."""
        while True:
            try:
                parts = self._parts(pieces)
                return self._everywhere(lambda pieces=pieces, parts=parts: self._backward(pieces, parts, normalisers))
            except StepOutOfMemoryError as problem:
                if self.train_section.fsdp:
                    raise ModelError(
                        "A batch does not fit into memory, and with train.fsdp it cannot be split. Lower"
                        " train.batch_seconds, or set train.gradient_checkpointing=true."
                    ) from problem
                self.optimiser.zero_grad()
                if self.device.type == "cuda":
                    torch.cuda.empty_cache()
                if problem.here:
                    pieces = self._split_largest(pieces)

    def _everywhere(self, work: Callable[[], Value]) -> Value:
        """What the work gives, once it has come to its end in every process.

        Raises:
            StepOutOfMemoryError: in every process, when it did not fit into the memory of one.
        """
        value, here = None, False
        try:
            value = work()
        except (RuntimeError, MemoryError) as error:
            here = is_out_of_memory(error)
            if not here:
                raise
        sharded = self.train_section.fsdp  # then the others wait in the middle of the work, not here
        if here if sharded else processes.any_of(here):
            raise StepOutOfMemoryError(here=here)
        return value  # pyright: ignore[reportReturnType]

    def _parts(self, pieces: Sequence[Piece]) -> list[Part | None]:
        """What each piece has to know of the others: nothing, where the losses are sums over utterances."""
        if not self.loss.wholes or (len(pieces) == 1 and processes.count() == 1):
            return [None] * len(pieces)

        def predictions() -> list[Tensor]:
            with torch.no_grad():
                found = [self._forward(piece)[0].dimensions for piece in pieces]
            return [dimensions.float() for dimensions in found if dimensions is not None]

        truths = [piece.batch.targets.dimensions for piece in pieces if piece.batch.targets is not None]
        known = [truth.to(self.device) for truth in truths if truth is not None]
        return list(parts_of_step(self._everywhere(predictions), known, self.loss.whole_losses))

    def _backward(
        self, pieces: Sequence[Piece], parts: Sequence[Part | None], normalisers: Mapping[str, Tensor]
    ) -> Tensor:
        total = torch.zeros((), device=self.device)
        for piece, part in zip(pieces, parts, strict=True):
            self.parallel.begin_piece(is_last=piece is pieces[-1])
            output, batch = self._forward(piece)
            assert batch.targets is not None
            loss = self.loss.mean_losses(output, batch.targets, normalisers)
            if part is not None:
                loss = loss + part.surrogate(output.dimensions)
            elif self.loss.wholes:
                assert batch.targets.dimensions is not None
                loss = loss + self.loss.whole_losses(output.dimensions, batch.targets.dimensions)
            loss.backward()
            total = total + loss.detach()
        return total

    def _forward(self, piece: Piece) -> tuple[Any, Batch]:
        """The model's output for a piece, and the piece on the device; the same dropout each time."""
        torch.manual_seed(int.from_bytes(hashlib.sha256(piece.key.encode()).digest()[:7], "little"))
        batch = piece.batch.to(self.device)
        with self._precision():
            return self.model(batch), batch

    def _precision(self) -> AbstractContextManager[Any]:
        if self.train_section.precision == "bf16":
            return torch.autocast(self.device.type, torch.bfloat16)
        return nullcontext()

    def _small_enough(self, pieces: list[Piece]) -> list[Piece]:
        """The pieces with those split that are known not to fit into memory."""
        most = self.progress.most_samples
        while most is not None and any(piece.samples > most and len(piece.batch.waveforms) > 1 for piece in pieces):
            pieces = [
                part
                for piece in pieces
                for part in (piece.halves() if piece.samples > most and len(piece.batch.waveforms) > 1 else (piece,))
            ]
        return pieces

    def _split_largest(self, pieces: list[Piece]) -> list[Piece]:
        largest = max(pieces, key=lambda piece: piece.samples)
        seconds = largest.samples / 16000
        if len(largest.batch.waveforms) == 1:
            raise ModelError(
                f"A single clip of {seconds:.1f} s does not fit into memory. Set data.max_duration_s or"
                " augmentation.crop_s lower, or train.gradient_checkpointing=true."
            )
        self.progress.most_samples = largest.samples - 1
        self.log.say(f"out of memory: a batch of {seconds:.1f} padded seconds is split, and so will be others as large")
        return self._small_enough(pieces)

    # --- checkpoints

    def _is_time_to_save(self) -> bool:
        due = time.monotonic() - self._saved_at >= 60 * self.train_section.checkpoint_minutes
        return processes.from_first(due)

    def _save(self) -> None:
        tensors, optimiser = {"model": self.parallel.weights()}, self.parallel.optimiser_state(self.optimiser)
        if self.average is not None:
            tensors["average"] = self.average.state_dict()
        if processes.is_first():
            state = dataclasses.asdict(self.progress) | {"processes": processes.count()}
            self.checkpoints.save(self.progress.step, Checkpoint(tensors, optimiser, state))
            best = self.best_row()
            self.checkpoints.forget_but(None if best is None else best["step"])
        self._saved_at = time.monotonic()

    def _restore(self, checkpoint: Checkpoint) -> None:
        before = checkpoint.state["processes"]
        if before != processes.count():
            raise ConfigError(
                f"The run was interrupted with {before} processes and cannot go on with {processes.count()}: an"
                f" optimiser step would hold other batches. Start {before} again."
            )
        names = {item.name for item in dataclasses.fields(Progress)}
        self.progress = Progress(**{name: value for name, value in checkpoint.state.items() if name in names})
        self.parallel.load_weights(checkpoint.tensors["model"])
        self.parallel.load_optimiser(self.optimiser, checkpoint.optimiser)
        if self.average is not None:
            self.average.load_state_dict(checkpoint.tensors["average"])

    def _scored_model(self) -> EmotionModel:
        if self.average is None:
            return self.parallel.whole_model()
        assert isinstance(self.average.module, EmotionModel)
        return self.average.module


def batches_of(dataset: EmotionDataset, recipe: Recipe) -> DurationBatches:
    """Training batches of similar duration, about ``train.batch_seconds`` each, as many as make whole steps."""
    durations = heard_seconds(dataset, recipe)
    together = recipe.train.accumulate * processes.count()
    return DurationBatches(durations, batch_seconds=recipe.train.batch_seconds, together=together, seed=recipe.seed)


def heard_seconds(dataset: EmotionDataset, recipe: Recipe) -> list[float]:
    """Seconds of each utterance as training hears it, cropped."""
    crop_s = recipe.augmentation.crop_s or math.inf
    return [min(utterance.duration_s or 0.0, crop_s) for utterance in dataset.manifest]
