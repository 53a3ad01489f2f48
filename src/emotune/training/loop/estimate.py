"""Estimate of a training step's memory, counted over a small one, and the batches that fit into a given memory."""

from __future__ import annotations

import math
import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from emotune.batch import Batch
from emotune.config.training import TrainSection
from emotune.data.duration_batches import Draws
from emotune.errors import ConfigError
from emotune.runtime.out_of_memory import is_out_of_memory
from emotune.training.loop import processes
from emotune.training.loop.task import Task
from emotune.training.loop.trainer import batches_of

_CLIP_S = 2.0
_EPOCHS = 3  # whose batches are looked at for the largest
_TRIES = 32  # more cuts than twice the fewest that could do
_CURE = (
    "Set train.gradient_checkpointing=true, shorten clips (augmentation.crop_s), or train fewer layers"
    " (model.backbone.train)."
)
_USABLE = 0.85  # of the memory that is given, for freed memory comes back in pieces
_OVERHEAD_BYTES = {"cpu": 1.0e9, "cuda": 0.5e9}  # the process and its libraries; measured on CPUs, assumed on GPUs


@dataclass(frozen=True)
class Clips:
    """Clips to be cut into batches.

    Args:
        durations_s: seconds of each clip as batches count it, cropped.
        longest_s: seconds of each at its longest, as slow as augmentation makes it.
        draws: which of them an epoch has; None = all come once.
        seed: of the order of batches.
    """

    durations_s: Sequence[float]
    longest_s: Sequence[float]
    draws: Draws | None = None
    seed: int = 0


class PeakCounter(TorchDispatchMode):
    """Counts the bytes of new tensors that are alive, and the most there ever were, whatever device they are on.

    Args:
        before: tensors that are there already and do not count.
    """

    def __init__(self, before: Iterable[Tensor] = ()) -> None:
        super().__init__()
        self.alive = self.peak = 0
        self._known = weakref.WeakSet(tensor.untyped_storage() for tensor in before)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, Tensor):
                self._count(tensor.untyped_storage())
        return result

    def _count(self, storage: torch.UntypedStorage) -> None:
        if storage not in self._known:
            self._known.add(storage)
            self.alive += storage.nbytes()
            self.peak = max(self.peak, self.alive)
            weakref.finalize(storage, self._forget, storage.nbytes())

    def _forget(self, size: int) -> None:
        self.alive -= size


def bytes_per_second(model: nn.Module, task: Task[Any], clip_s: float) -> float:
    """Bytes that a padded audio-second adds to the peak of a forward and backward, for clips of this length.

    It is counted over such passes with one clip and with two, whose memory must be there.
    """
    was_training = model.training
    model.train()
    peaks = []
    device = next(model.parameters()).device
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter) if parameter.requires_grad else None
    for clips in (1, 2):
        waveforms = torch.randn(clips, int(clip_s * 16000), device=device) * 0.1
        waveforms.requires_grad_(task.differentiates_inputs)
        with _all_layers(model), PeakCounter([waveforms, *_tensors_of(model)]) as counter:
            output = model(Batch(waveforms, torch.ones_like(waveforms, dtype=torch.bool)))
            everything = task.everything(output)
            everything.backward()
        del output, everything
        peaks.append(counter.peak)
    model.zero_grad()
    model.train(was_training)
    return (peaks[1] - peaks[0]) / clip_s


@contextmanager
def _all_layers(model: nn.Module) -> Iterator[None]:
    """No layer is dropped: a step that drops none takes the most."""
    modules: list[Any] = [module for module in model.modules() if hasattr(module, "layerdrop")]
    dropping = [(module, module.layerdrop) for module in modules]
    for module, _ in dropping:
        module.layerdrop = 0.0
    try:
        yield
    finally:
        for module, share in dropping:
            module.layerdrop = share


def _tensors_of(model: nn.Module) -> Iterator[Tensor]:
    """Parameters, their gradients and buffers: they do not grow with a batch."""
    yield from model.buffers()
    for parameter in model.parameters():
        yield parameter
        if parameter.grad is not None:
            yield parameter.grad


def fixed_bytes(model: nn.Module) -> tuple[int, int]:
    """Bytes of the weights, and of gradients and Adam's two moments."""
    trainable = sum(p.numel() for p in model.parameters() if p.requires_grad)
    return sum(p.numel() * p.element_size() for p in model.parameters()), trainable * 12


def memory_estimate(train: TrainSection, model: nn.Module, task: Task[Any], clips: Clips) -> dict[str, float]:
    """A training process's memory in GB at the peak of its largest step: what ``within_memory`` counts, by its parts.

    What a batch adds is counted, not guessed, over passes of short clips, and carried on to the longest: attention
    grows with the square of a clip. Processes that prepare clips come on top, each with some 0.5 GB of its own.

    Args:
        train, model, task, clips: as for ``within_memory``.
    """
    weights, moments = _fixed_bytes_of(train, model, task)
    longest_s = max(clips.longest_s)
    short_s, twice_s = min(_CLIP_S, longest_s), min(2 * _CLIP_S, longest_s)
    per_second = bytes_per_second(model, task, short_s)
    if twice_s > short_s:
        growth = (bytes_per_second(model, task, twice_s) - per_second) / (twice_s - short_s)
        per_second += max(growth, 0.0) * (longest_s - short_s)
    gb = {
        "process": _OVERHEAD_BYTES[next(model.parameters()).device.type] / 1e9,
        "weights": weights / 1e9,
        "gradients_and_adam": moments / 1e9,
        "activations": per_second * _largest_batch_s(train, clips) / 1e9,
    }
    gb["total"] = sum(gb.values())
    return {name: round(value, 3) for name, value in gb.items()}


def within_memory(train: TrainSection, model: nn.Module, task: Task[Any], clips: Clips) -> TrainSection:
    """The section with batches so small that a step stays within ``train.memory_gb``, and accordingly more of them.

    An optimiser step keeps its audio-seconds, so that training is the same but for the place of the cuts.

    Args:
        train: the train section, with ``memory_gb``.
        model: what is trained, on its device.
        task: what it learns.
        clips: the training split.

    Raises:
        ConfigError: when not even one clip would fit, or batches cannot be cut as small as they would have to be.
    """
    assert train.memory_gb is not None
    longest_s = max(clips.longest_s)
    taken = _taken_bytes(train, model, task)
    try:
        per_second = bytes_per_second(model, task, longest_s)
        room = (train.memory_gb * 1e9 * _USABLE - taken) / per_second
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise ConfigError(f"There is no memory to try two clips of {longest_s:.1f} s, the longest. {_CURE}") from error

    def gb(seconds: float) -> str:
        process = _OVERHEAD_BYTES[next(model.parameters()).device.type] / 1e9
        needed = (taken + per_second * seconds) / _USABLE / 1e9
        return f"{needed:.2f} GB, {process:g} of them for the process and its libraries"

    if room < longest_s:
        raise ConfigError(
            f"train.memory_gb is {train.memory_gb:g}, but a step with one clip of {longest_s:.1f} s takes about"
            f" {gb(longest_s)}. {_CURE}"
        )
    seconds = train.batch_seconds * train.accumulate
    fewest = max(train.accumulate, math.ceil(seconds / room))
    most = len(clips.durations_s) // processes.count()
    for accumulate in range(fewest, min(most, 2 * fewest + _TRIES) + 1):
        smaller = train.model_copy(update={"batch_seconds": seconds / accumulate, "accumulate": accumulate})
        if _largest_batch_s(smaller, clips) <= room:
            return smaller
    raise ConfigError(
        f"train.memory_gb is {train.memory_gb:g}, and batches cannot be cut as small as that asks for: give it"
        f" {gb(2 * longest_s)}, room for two of the longest clips. {_CURE}"
    )


def _taken_bytes(train: TrainSection, model: nn.Module, task: Task[Any]) -> float:
    """Bytes that are taken before any batch."""
    return sum(_fixed_bytes_of(train, model, task)) + _OVERHEAD_BYTES[next(model.parameters()).device.type]


def _fixed_bytes_of(train: TrainSection, model: nn.Module, task: Task[Any]) -> tuple[int, int]:
    """As ``fixed_bytes``, with the copies that the train section asks for, and what each process has of them.

    A task's own weights, such as those of a teacher, are there once.
    """
    weights, moments = fixed_bytes(model)
    copies = 2 if train.fsdp or train.average is not None else 1
    of_task = sum(parameter.numel() * parameter.element_size() for parameter in task.parameters())
    return weights * copies + of_task, moments // processes.count() if train.fsdp else moments


def _largest_batch_s(train: TrainSection, clips: Clips) -> float:
    """Padded seconds of the largest batch of the first epochs."""
    batches, largest = batches_of(clips.durations_s, train, seed=clips.seed, draws=clips.draws), 0.0
    for epoch in range(_EPOCHS):
        batches.set_epoch(epoch)
        largest = max(largest, *(len(batch) * max(clips.longest_s[index] for _, index in batch) for batch in batches))
    return largest
