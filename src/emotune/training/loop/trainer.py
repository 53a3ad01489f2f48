"""The training loop, whatever module it trains for whatever task.

It is plain PyTorch in one process or in many. Everything random comes from the seed, the step and the place of a batch
in it, never from what ran before, so a run that was interrupted goes on as if it had not been.

Several processes share out the batches of an optimiser step and add up their gradients once a step. The batches of a
step are the same for any number of processes with the same product of processes and ``train.accumulate``.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from torch import nn
from torch.distributed.tensor import DTensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from emotune.batch import Batch
from emotune.config.training import TrainSection
from emotune.data.duration_batches import Draws, DurationBatches
from emotune.data.loading import Loading
from emotune.errors import ModelError
from emotune.runtime import interruption
from emotune.runtime.listener import Listener
from emotune.training.loop import processes
from emotune.training.loop.checkpoints import Checkpoint, Checkpoints, State
from emotune.training.loop.parallel import Replicated, Sharded
from emotune.training.loop.schedule import rate_factor
from emotune.training.loop.step import Piece, StepGradients
from emotune.training.loop.task import Task

Model = TypeVar("Model", bound=nn.Module)
Row = dict[str, Any]
Groups = list[dict[str, Any]]
"""Parameters with their learning rates, as optimisers take them."""


@dataclass
class TrainingProgress:
    """Progress of a run.

    Args:
        step: optimiser steps done.
        rows: one for each epoch that was scored.
        losses: of the steps of the running epoch.
        seconds: spent on the running epoch.
        start: figures before the first step, where they are asked for.
    """

    step: int = 0
    rows: list[Row] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    seconds: float = 0.0
    start: Row | None = None


class Trainer(Generic[Model]):
    """Trains a module for a task; scores it after every epoch and keeps the best weights.

    With ``train.average`` it is the moving average of the weights that is scored, kept and given back at the end.

    Args:
        model: what is trained, on its device.
        task: what it learns.
        batches: which clips each batch of an epoch has, see ``batches_of``.
        loading: gives these batches.
        score: model -> development figures by name.
        train: the train section.
        groups: model -> parameters with their learning rates. It is asked once the model lies in memory as it will.
        unfreezing: model -> what is told of each epoch, counted from 0, before it begins; None = nothing is.
        seed: of what is random in the model.
        folder: where checkpoints go.
        listener: hears of every step and epoch.
        scores_start: the weights are scored before the first step too, and given back where no epoch is better.
    """

    def __init__(
        self,
        model: Model,
        task: Task[Any],
        batches: DurationBatches,
        loading: Loading,
        score: Callable[[Model], dict[str, float]],
        train: TrainSection,
        *,
        groups: Callable[[Model], Groups],
        unfreezing: Callable[[Model], Callable[[int], None]] | None = None,
        seed: int,
        folder: Path,
        listener: Listener,
        scores_start: bool = False,
    ) -> None:
        self.parallel = Sharded(model) if train.fsdp else Replicated(model)
        self.model = model
        self.gradients = StepGradients(self.parallel, task, train, listener.say)
        self.loading = loading
        self.score = score
        self.seed = seed
        self.train_section = train
        self.listener = listener
        self.scores_start = scores_start
        self.checkpoints = Checkpoints(folder)
        self.batches = batches
        self.steps_an_epoch = len(self.batches) // self.batches.together
        self.steps = self.steps_an_epoch * train.epochs
        self.begin_epoch = None if unfreezing is None else unfreezing(model)
        self.trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
        own_groups = groups(model)
        # in one pass over each parameter; those in pieces, and those without a fused way, go as PyTorch chooses
        fused = not train.fsdp and self.trained[0].device.type in ("cpu", "cuda")
        self.optimiser = torch.optim.AdamW(own_groups, fused=fused or None)
        self.rates = [group["lr"] for group in self.optimiser.param_groups]
        decay = train.average
        averaging = None if decay is None else partial(self._move_average, decay)
        self.average = None if averaging is None else AveragedModel(model, multi_avg_fn=averaging, use_buffers=False)
        self.progress = TrainingProgress()
        self._is_whole = True
        self._most_samples: list[int | None] = [None] * processes.count()
        self._saved_at = time.monotonic()

    def train(self, checkpoint: Path | None = None) -> Model:
        """Trains from the beginning or from a checkpoint; an interrupt leaves a checkpoint behind.

        Returns:
            The model, or the moving average, of the best epoch; in processes other than the first, of the last one.

        Raises:
            FloatingPointError: when a loss or a gradient is not finite.
            ModelError: when a single clip does not fit into memory, or a checkpoint can be neither written nor read.
        """
        if checkpoint is not None:
            self._restore(self.checkpoints.load(checkpoint))
            if self.progress.start is not None:
                self.listener.started(self.progress.start)
            self.listener.continues(self._rows())
        with self.loading:
            try:
                self._run_epochs()
            except (KeyboardInterrupt, RuntimeError) as error:
                if isinstance(error, KeyboardInterrupt) or interruption.came():
                    self._save_what_is_done()
                raise
        best = self.best_row()
        if best is None:
            raise ModelError(f"No epoch has a development {self.train_section.metric}: it is undefined on this split.")
        model = self._scored_model()
        if processes.is_first():
            model.load_state_dict(self.checkpoints.best(best["step"]))
        return model

    def best_row(self) -> Row | None:
        """The first of the epochs with the highest score, epoch 0 being the start; None where there is no score."""
        name = f"development_{self.train_section.metric}"
        rows = self.progress.rows if self.progress.start is None else [self.progress.start, *self.progress.rows]
        scored = [row for row in rows if row[name] is not None and not math.isnan(row[name])]
        return max(scored, key=lambda row: row[name], default=None)

    def _rows(self) -> list[Row]:
        best = self.best_row()
        return [row | {"best": row is best} for row in self.progress.rows]

    def _patience_is_over(self) -> bool:
        patience, best = self.train_section.patience, self.best_row()
        since = len(self.progress.rows) - (0 if best is None else best["epoch"])
        return patience is not None and since >= patience

    def _run_epochs(self) -> None:
        if self.scores_start and not self.progress.step:
            self._score_start()
        for epoch in range(len(self.progress.rows), self.train_section.epochs):
            if self._patience_is_over():
                break
            self._run_epoch(epoch)

    def _run_epoch(self, epoch: int) -> None:
        progress, began = self.progress, time.perf_counter() - self.progress.seconds
        if self.begin_epoch is not None:
            self.begin_epoch(epoch)
        for step, batches in self._batches_by_step(epoch):
            loss, norm = self._step(step, batches)
            progress.seconds = time.perf_counter() - began
            rate = max(group["lr"] for group in self.optimiser.param_groups)
            self.listener.step(progress.step, self.steps, {"loss": loss, "grad_norm": norm, "learning_rate": rate})
            if progress.step % self.steps_an_epoch and self._is_time_to_save():
                self._save()
        self._score_epoch(epoch)
        self._save()

    def _score_start(self) -> None:
        scored = self._scored_model()
        row: Row = {"epoch": 0, "step": 0, **self._figures(scored)}
        with self._as_a_whole():
            self.progress.start = row
            self._keep_if_best(scored)
        self.parallel.put_away()
        self.listener.started(row)

    def _figures(self, scored: Model) -> dict[str, float]:
        return {f"development_{name}": value for name, value in self.score(scored).items()}

    def _keep_if_best(self, scored: Model) -> None:
        best = self.best_row()
        if best is not None and best["step"] == self.progress.step and processes.is_first():
            self.checkpoints.keep_best(self.progress.step, scored.state_dict())

    def _score_epoch(self, epoch: int) -> None:
        progress, scored = self.progress, self._scored_model()
        figures = self._figures(scored)
        row: Row = {"epoch": epoch + 1, "step": progress.step, "train_loss": math.fsum(progress.losses)}
        row["train_loss"] /= len(progress.losses)
        with self._as_a_whole():
            progress.rows.append(row | figures | {"seconds": round(progress.seconds, 1)})
            progress.losses, progress.seconds = [], 0.0
            self._keep_if_best(scored)
        self.parallel.put_away()
        self.listener.epoch(self._rows())

    # --- one optimiser step

    def _batches_by_step(self, epoch: int) -> Iterator[tuple[int, list[Batch]]]:
        """This process's batches of each step of an epoch that is still to be done."""
        first = self.progress.step
        self.batches.set_epoch(epoch)
        done = (first - epoch * self.steps_an_epoch) * self.batches.together
        batches = self.loading.batches(processes.own_part(list(self.batches)[done:]))
        for step in range(first, (epoch + 1) * self.steps_an_epoch):
            yield step, list(islice(batches, self.train_section.accumulate))

    def _step(self, step: int, batches: Sequence[Batch]) -> tuple[float, float]:
        """Forward, backward and update; the loss over all processes, and the gradient's norm before clipping."""
        self.model.train()
        numbers = range(processes.number(), self.batches.together, processes.count())
        pieces = [Piece(f"{self.seed} {step} {number}", batch) for number, batch in zip(numbers, batches, strict=True)]
        loss = self.gradients.add(pieces, self.trained)
        norm = nn.utils.clip_grad_norm_(self.trained, self.train_section.clip_norm or math.inf)
        norm = float(norm.full_tensor() if isinstance(norm, DTensor) else norm)
        for name, value in (("loss", loss), ("gradient's norm", norm)):
            if not math.isfinite(value):
                raise FloatingPointError(f"the {name} became {value} at step {step + 1}")
        factor = rate_factor(
            self.train_section.schedule,
            step,
            total=self.steps,
            warmup=math.ceil(self.steps * self.train_section.warmup_share),
        )
        for group, rate in zip(self.optimiser.param_groups, self.rates, strict=True):
            group["lr"] = rate * factor
        with self._as_a_whole():
            self.optimiser.step()
            self.optimiser.zero_grad()
            if self.average is not None:
                self.average.update_parameters(self.model)
            self.progress.step = step + 1
            self.progress.losses.append(loss)
        return loss, norm

    def _move_average(self, decay: float, averages: Any, weights: Any, count: Any) -> None:
        """Moves averages on; early on by larger shares, or a short run would keep much of its random beginning."""
        done = self.progress.step  # as many as ``count``, for which a GPU would have to be waited
        get_ema_multi_avg_fn(min(decay, (1 + done) / (10 + done)))(averages, weights, count)

    # --- checkpoints

    def _is_time_to_save(self) -> bool:
        due = time.monotonic() - self._saved_at >= 60 * self.train_section.checkpoint_minutes
        return processes.from_first(due)

    @contextmanager
    def _as_a_whole(self) -> Iterator[None]:
        """Between a change of weights or rows and what belongs to it there is nothing that a checkpoint could hold."""
        with interruption.put_off():
            self._is_whole = False
            yield
            self._is_whole = True

    def _save_what_is_done(self) -> None:
        """Writes a checkpoint after an interrupt, without a word from other processes: they may be gone."""
        if not processes.is_first() or self.train_section.fsdp or not self._is_whole:
            return
        if self.progress.step and self._state().name != self.checkpoints.written:
            self._most_samples[0] = self.gradients.most_samples
            self._write()
        self.listener.say(f"newest checkpoint: {self.checkpoints.written or 'none yet'}")

    def _save(self) -> None:
        self._most_samples = processes.from_all(self.gradients.most_samples)  # each process has learnt its own
        self._write()
        self._saved_at = time.monotonic()

    def _write(self) -> Path | None:
        """Writes what is done as a checkpoint; None in other processes than the first."""
        with interruption.put_off():
            tensors, optimiser = {"model": self.parallel.weights()}, self.parallel.optimiser_state(self.optimiser)
            if self.average is not None:
                tensors["average"] = self.average.state_dict()
            if of_task := self.gradients.task.state_dict():
                tensors["task"] = of_task
            if not processes.is_first():
                return None
            return self.checkpoints.save(Checkpoint(tensors, optimiser, self._state()))

    def _state(self) -> State:
        best = self.best_row()
        return State(
            **dataclasses.asdict(self.progress),
            steps_an_epoch=self.steps_an_epoch,
            best_step=None if best is None else best["step"],
            processes=processes.count(),
            most_samples=self._most_samples,
            batch_seconds=self.train_section.batch_seconds,
            accumulate=self.train_section.accumulate,
        )

    def _restore(self, checkpoint: Checkpoint) -> None:
        state = checkpoint.state
        self.progress = TrainingProgress(state.step, list(state.rows), list(state.losses), state.seconds, state.start)
        self._most_samples = list(state.most_samples)
        self.gradients.most_samples = state.most_samples[processes.number()]
        if self.begin_epoch is not None:  # the optimiser's state is that of the parameters that were trained then
            self.begin_epoch((self.progress.step - 1) // self.steps_an_epoch)
        try:
            self.parallel.load_weights(checkpoint.tensors["model"])
        except RuntimeError as error:
            raise ModelError(
                f"The checkpoint of step {state.step} holds other weights than this version trains ({error}). Finish"
                " the run with the version that began it, or remove its folder to train anew."
            ) from error
        self.parallel.load_optimiser(self.optimiser, checkpoint.optimiser)
        if self.average is not None:
            self.average.load_state_dict(checkpoint.tensors["average"])
        self.gradients.task.load_state_dict(checkpoint.tensors.get("task", {}), strict="task" in checkpoint.tensors)

    def _scored_model(self) -> Model:
        if self.average is None:
            return self.parallel.whole_model()
        return self.average.module  # pyright: ignore[reportReturnType] (a copy of the model)


def batches_of(
    durations_s: Sequence[float], train: TrainSection, *, seed: int, draws: Draws | None = None
) -> DurationBatches:
    """Training batches of similar duration, about ``train.batch_seconds`` each, as many as make whole steps.

    Args:
        durations_s: of each utterance as training hears it.
        train: the train section.
        seed: of the order.
        draws: which utterances an epoch has; None = all come once.
    """
    return DurationBatches(
        durations_s,
        batch_seconds=train.batch_seconds,
        together=train.accumulate * processes.count(),
        seed=seed,
        draws=draws,
    )
