"""The loss of one optimiser step and its gradients, over micro-batches and processes; what does not fit is split."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from emotune.batch import Batch
from emotune.config.training import TrainSection
from emotune.errors import ModelError
from emotune.runtime.out_of_memory import is_out_of_memory, release_unused
from emotune.training.loop import processes
from emotune.training.loop.parallel import Replicated
from emotune.training.loop.task import Task
from emotune.training.loop.whole_step import Share, shares_of_step, summed

Value = TypeVar("Value")


@dataclass(frozen=True)
class Piece:
    """A micro-batch, or the part of one that memory has room for, with what its dropout is drawn from."""

    key: str
    batch: Batch

    @property
    def samples(self) -> int:
        """Samples of the padded clips together."""
        return self.batch.waveforms.numel()

    @property
    def clips(self) -> int:
        """Number of clips."""
        return len(self.batch.waveforms)

    def halves(self) -> tuple[Piece, Piece]:
        """The first and the second half of the clips, each with a key of its own."""
        middle = self.clips // 2
        return (
            Piece(f"{self.key}a", self.batch.rows(slice(None, middle))),
            Piece(f"{self.key}b", self.batch.rows(slice(middle, None))),
        )


class StepOutOfMemoryError(Exception):
    """A step did not fit into memory, here or in another process."""

    def __init__(self, *, here: bool) -> None:
        super().__init__()
        self.here = here


class StepGradients:
    """Forward and backward over all pieces of a step.

    Args:
        parallel: the module, on its device, whole or in pieces.
        task: what it learns.
        train: the train section.
        say: hears of batches that are split.
    """

    most_samples: int | None = None
    """The largest padded batch that this process's memory takes; None = as yet all did fit."""

    def __init__(
        self, parallel: Replicated[Any], task: Task[Any], train: TrainSection, say: Callable[[str], None]
    ) -> None:
        self.parallel = parallel
        self.model = parallel.model
        self.device = next(self.model.parameters()).device
        self.task = task.to(self.device)
        self.train = train
        self.say = say
        self._running: Piece | None = None

    def add(self, pieces: Sequence[Piece], trained: Sequence[nn.Parameter]) -> float:
        """Adds the step's gradients, those of all processes, to the parameters'.

        Returns:
            The step's loss over all processes.

        Raises:
            ModelError: when a single clip does not fit into memory.
        """
        normalisers = summed([self.task.normalisers(self._with_targets_here(piece.batch)) for piece in pieces])
        loss = processes.summed(self._with_room(self._small_enough(pieces), normalisers, trained))
        self.parallel.add_up(trained)
        return loss.item()

    def _with_room(
        self, pieces: Sequence[Piece], normalisers: Mapping[str, Tensor], trained: Sequence[nn.Parameter]
    ) -> Tensor:
        """This process's part of the step's loss, with its gradients; tried again in smaller pieces where it must."""
        while True:
            try:
                shares = self._shares(pieces)
                return self._everywhere(partial(self._backward, pieces, shares, normalisers))
            except StepOutOfMemoryError as problem:
                here = problem.here
            # out of the handler: what the failed attempt held is free by now
            if self.train.fsdp:
                raise ModelError(
                    "A batch does not fit into memory, and with train.fsdp it cannot be split. Lower"
                    " train.batch_seconds, or set train.gradient_checkpointing=true."
                )
            for parameter in trained:
                parameter.grad = None
            release_unused(self.device)
            if here:
                pieces = self._split(pieces)

    def _everywhere(self, work: Callable[[], Value]) -> Value:
        """Result of the work, once it has come to its end in every process.

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
        sharded = self.train.fsdp  # then the others wait in the middle of the work, not here
        if here if sharded else processes.any_of(here):
            raise StepOutOfMemoryError(here=here)
        return value  # pyright: ignore[reportReturnType]

    def _with_targets_here(self, batch: Batch) -> Batch:
        targets = {name: truth.to(self.device) for name, truth in batch.targets.items()}
        return dataclasses.replace(batch, targets=targets)

    def _shares(self, pieces: Sequence[Piece]) -> list[dict[str, Share]]:
        """Shares of each piece in losses of the whole step, by name of the loss; empty where losses are sums."""
        wholes = self.task.whole_losses
        if not wholes or (len(pieces) == 1 and processes.count() == 1):
            return [{} for _ in pieces]

        def predictions() -> list[dict[str, tuple[Tensor, Tensor]]]:
            with torch.no_grad():
                heard = (self._forward(piece) for piece in self._in_turn(pieces))
                return [
                    {name: (whole.prediction(output).float(), whole.truth(batch)) for name, whole in wholes.items()}
                    for output, batch in heard
                ]

        found = self._everywhere(predictions)
        shares: list[dict[str, Share]] = [{} for _ in pieces]
        for name, whole in wholes.items():
            predicted, truths = zip(*(each[name] for each in found), strict=True)
            of_step = shares_of_step(predicted, truths, whole.loss)
            for own, share in zip(shares, of_step, strict=True):
                own[name] = share
        return shares

    def _in_turn(self, pieces: Sequence[Piece]) -> Iterator[Piece]:
        for piece in pieces:
            self._running = piece
            yield piece

    def _backward(
        self, pieces: Sequence[Piece], shares: Sequence[Mapping[str, Share]], normalisers: Mapping[str, Tensor]
    ) -> Tensor:
        total = torch.zeros((), device=self.device)
        for piece, share in zip(self._in_turn(pieces), shares, strict=True):
            self.parallel.begin_piece(is_last=piece is pieces[-1])
            output, batch = self._forward(piece)
            means = list(self.task.mean_losses(output, batch, normalisers).values())
            loss = torch.stack(means).sum() if means else torch.zeros((), device=self.device)
            for name, whole in self.task.whole_losses.items():
                prediction = whole.prediction(output)
                if name in share:
                    loss = loss + share[name].surrogate(prediction)
                else:
                    loss = loss + whole.loss(prediction, whole.truth(batch))
            loss.backward()
            total = total + loss.detach()
        return total

    def _forward(self, piece: Piece) -> tuple[Any, Batch]:
        """The module's output for a piece, and the piece on the device; the same dropout each time."""
        torch.manual_seed(int.from_bytes(hashlib.sha256(piece.key.encode()).digest()[:7], "little"))
        with self._precision():
            batch = self.task.heard(self.model, piece.batch.to(self.device))
            return self.model(batch), batch

    def _precision(self) -> AbstractContextManager[Any]:
        if self.train.precision == "bf16":
            return torch.autocast(self.device.type, torch.bfloat16)
        return nullcontext()

    def _small_enough(self, pieces: Sequence[Piece]) -> Sequence[Piece]:
        """The pieces with those split that are known not to fit into memory."""
        most = self.most_samples

        def fitting(piece: Piece) -> list[Piece]:
            if most is None or piece.samples <= most or piece.clips == 1:
                return [piece]
            return [part for half in piece.halves() for part in fitting(half)]

        return [part for piece in pieces for part in fitting(piece)]

    def _split(self, pieces: Sequence[Piece]) -> Sequence[Piece]:
        """The pieces with the one split for which there was no memory, and all others as large."""
        piece = self._running
        assert piece is not None
        seconds = piece.samples / 16000
        if piece.clips == 1:
            raise ModelError(
                f"A single clip of {seconds:.1f} s does not fit into memory. Set data.max_duration_s or"
                " augmentation.crop_s lower, or train.gradient_checkpointing=true."
            )
        self.most_samples = piece.samples - 1
        self.say(f"out of memory: a batch of {seconds:.1f} padded seconds is split, and so will be others as large")
        return self._small_enough(pieces)
