"""Training in several processes, on one machine or many: what they have to tell each other.

``torchrun`` and ``accelerate launch`` start the processes and say through the environment who is who. Alone, everything
here does nothing.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, NoReturn, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from emotune.errors import ModelError

Item = TypeVar("Item")
Value = TypeVar("Value")
_LONGEST_WAIT = timedelta(hours=12)  # the others wait while one scores or reads a corpus
_BUCKET = 2**24  # elements of gradients that travel together


@contextmanager
def joined() -> Iterator[None]:
    """Join the processes that a launcher started, for the time of the block; alone, or inside another block, nothing.

    After an error the group is left as it is: a goodbye could wait for ever, and the launcher ends the others.

    Raises:
        ModelError: when another process has ended.
    """
    if dist.is_initialized() or launched_count() == 1:
        yield
        return
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    dist.init_process_group(backend, timeout=_LONGEST_WAIT)
    try:
        yield
    except RuntimeError as error:
        if "peer" in str(error):  # gloo's and NCCL's word for a process that is gone
            raise ModelError("Another process of this training has ended; its own message says why.") from error
        raise
    dist.destroy_process_group()


def leave() -> NoReturn:
    """End this process, whose work is done, without Python's clean-up.

    After training with FSDP, PyTorch 2.13 keeps gloo's threads alive behind caches of its own, and now and then they
    abort the process in the clean-up; a launcher would call that a failure.
    """
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(0)


def count() -> int:
    """Count of the processes that train together."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def number() -> int:
    """This process's number, from 0."""
    return dist.get_rank() if count() > 1 else 0


def launched_number() -> int:
    """This process's number among those that the launcher started, whether they have joined or not."""
    return int(os.environ.get("RANK", "0"))


def launched_count() -> int:
    """Count of the processes that a launcher started, whether they have joined or not."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def is_first() -> bool:
    """Tells if this is the process that writes files and talks."""
    return number() == 0


def own_part(items: Sequence[Item]) -> list[Item]:
    """Every n-th item, beginning with this process's number: each item belongs to one process."""
    return list(items[number() :: count()])


def from_all(value: Item) -> list[Item]:
    """The values of all processes, in the order of their numbers."""
    if count() == 1:
        return [value]
    values: list[Any] = [None] * count()
    dist.all_gather_object(values, value)
    return values


def shared_out(items: Sequence[Item], work: Callable[[list[Item]], Sequence[Value]]) -> list[Value]:
    """Results of the work for each item, in their order: each process does its part and gets the results of all."""
    results: list[Any] = [None] * len(items)
    for first, part in enumerate(from_all(work(own_part(items)))):
        results[first :: count()] = part
    return results


def from_first(value: Item) -> Item:
    """The first process's value, everywhere."""
    if count() == 1:
        return value
    values: list[Any] = [value]
    dist.broadcast_object_list(values, src=0)
    return values[0]


def any_of(flag: bool) -> bool:
    """Tells if the flag is set in at least one process."""
    if count() == 1:
        return flag
    flags = torch.tensor([int(flag)])
    dist.all_reduce(flags, dist.ReduceOp.MAX)
    return bool(flags.item())


def wait_for_all() -> None:
    """Go on when every process has come here."""
    if count() > 1:
        any_of(False)


def summed(value: Tensor) -> Tensor:
    """The sum over all processes."""
    if count() > 1:
        value = value.clone()
        dist.all_reduce(value)
    return value


def copy_from_first(module: nn.Module) -> None:
    """Gives every process the first one's parameters and buffers."""
    if count() > 1:
        for tensor in [*module.parameters(), *module.buffers()]:
            dist.broadcast(tensor.detach(), src=0)


def sum_gradients(parameters: Sequence[nn.Parameter]) -> None:
    """Adds up every parameter's gradient over all processes; one that none of them has stays None."""
    if count() == 1:
        return
    device = parameters[0].device
    here = torch.tensor([parameter.grad is not None for parameter in parameters], dtype=torch.int32, device=device)
    dist.all_reduce(here)
    wanted = [parameter for parameter, found in zip(parameters, here.tolist(), strict=True) if found]
    for parameter in wanted:
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
    travelling = []
    for bucket in _buckets([parameter.grad for parameter in wanted if parameter.grad is not None]):
        together = torch.cat([gradient.flatten() for gradient in bucket])
        travelling.append((bucket, together, dist.all_reduce(together, async_op=True)))
    for bucket, together, arrival in travelling:
        assert arrival is not None
        arrival.wait()
        for gradient, total in zip(bucket, together.split([gradient.numel() for gradient in bucket]), strict=True):
            gradient.copy_(total.view_as(gradient))


def _buckets(tensors: Sequence[Tensor]) -> Iterator[list[Tensor]]:
    """Neighbours of one type, about ``_BUCKET`` elements each."""
    bucket: list[Tensor] = []
    for tensor in tensors:
        if bucket and (tensor.dtype != bucket[0].dtype or sum(t.numel() for t in bucket) + tensor.numel() > _BUCKET):
            yield bucket
            bucket = []
        bucket.append(tensor)
    if bucket:
        yield bucket
