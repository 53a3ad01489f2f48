"""Weights of a safetensors file: compared by its header before there is memory for them, then read into their place."""

# pyright: strict, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

import json
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from emotune.errors import ModelError

Module = TypeVar("Module", bound=nn.Module)

_DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}
_LEAST_MAPPED = 2**16  # bytes: what is smaller would mostly map pages of its neighbours
_LENGTH_BYTES = 8  # of the header, at the start of the file
_DRAWS = frozenset(
    ["normal_", "uniform_", "kaiming_normal_", "kaiming_uniform_", "trunc_normal_", "xavier_normal_", "xavier_uniform_"]
)


@dataclass(frozen=True)
class WeightsFile:
    """A safetensors file whose header was read and fits its length.

    Args:
        path: of the file.
        header: a tensor without memory for each one in the file, with its shape and dtype.
        starts: where the values of each begin.
    """

    path: Path
    header: Mapping[str, Tensor]
    starts: Mapping[str, int]

    @property
    def files(self) -> tuple[Path]:
        """The file, as one of many."""
        return (self.path,)

    @classmethod
    def open(cls, path: Path) -> WeightsFile:
        """Reads the header.

        Raises:
            ModelError: for anything but a whole safetensors file.
        """
        try:
            with safe_open(path, framework="pt"):  # checks the header and that the file is as long as it says
                pass
            with path.open("rb") as stream:
                length = int.from_bytes(stream.read(_LENGTH_BYTES), "little")
                entries: dict[str, Any] = json.loads(stream.read(length))
        except (SafetensorError, OSError, ValueError) as error:
            raise ModelError(f"{path} is not a readable safetensors file ({error}); copy it again.") from error
        entries.pop("__metadata__", None)
        unknown = sorted({entry["dtype"] for entry in entries.values()} - _DTYPES.keys())
        if unknown:
            raise ModelError(f"{path} holds numbers of type {', '.join(unknown)}; expected {', '.join(_DTYPES)}.")
        return cls(
            path,
            {
                name: torch.empty(entry["shape"], dtype=_DTYPES[entry["dtype"]], device="meta")
                for name, entry in entries.items()
            },
            {name: _LENGTH_BYTES + length + entry["data_offsets"][0] for name, entry in entries.items()},
        )

    def read_into(self, places: Mapping[str, Tensor]) -> None:
        """Fill tensors with the values of that name in the file, in the order of the file.

        Args:
            places: by the name in the file, each of the shape that the header says, on the CPU.

        Raises:
            ModelError: when the file changed since it was opened.
        """
        with self.path.open("rb", buffering=0) as stream:
            for name in sorted(places, key=lambda name: self.starts[name]):
                place, dtype = places[name].detach(), self.header[name].dtype
                direct = place.dtype == dtype and place.is_contiguous()
                values = place if direct else torch.empty(place.shape, dtype=dtype)
                stream.seek(self.starts[name])
                waiting = values.view(-1).view(torch.uint8).numpy().data
                while waiting:
                    count = stream.readinto(waiting)
                    if not count:
                        raise ModelError(f"{self.path} ends too early: it has changed while it was read. Try again.")
                    waiting = waiting[count:]
                if not direct:
                    place.copy_(values)

    def mapped(self, names: Iterable[str]) -> dict[str, Tensor]:
        """Weights where they lie in the file: all processes that map them share one copy in memory.

        What is written into one of them changes neither the file nor what others see.
        """
        return {name: self._mapped(name) for name in names}

    def _mapped(self, name: str) -> Tensor:
        like = self.header[name]
        if like.numel() * like.element_size() < _LEAST_MAPPED:
            own = torch.empty(like.shape, dtype=like.dtype)
            self.read_into({name: own})
            return own
        size = like.numel() * like.element_size()
        values = np.memmap(self.path, dtype=np.uint8, mode="c", offset=self.starts[name], shape=(size,))
        return torch.from_numpy(values).view(like.dtype).view(like.shape)


def without_memory(build: Callable[[], Module]) -> Module:
    """A module with the shapes of what is built and without values: any size costs nothing.

    Nothing is drawn either, and norms are not taken: PyTorch would load its compiler for it, which takes a second.
    """
    with torch.device("meta"), _NothingDrawn(), _NoNorms():
        return build()


@contextmanager
def nothing_drawn() -> Generator[None]:
    """Leaves out drawing initial weights in the block: they will be read from a file, and nothing else counts."""
    with _NothingDrawn():
        yield


class _NothingDrawn(TorchFunctionMode):
    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if getattr(func, "__name__", "") in _DRAWS:
            return args[0] if args else (kwargs or {})["tensor"]
        return func(*args, **(kwargs or {}))


class _NoNorms(TorchFunctionMode):
    """Norms of weights without values, which have a shape and nothing else."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if getattr(func, "__name__", "") != "norm_except_dim":
            return func(*args, **(kwargs or {}))
        weight, _, kept = args
        return weight.new_empty([size if place == kept else 1 for place, size in enumerate(weight.shape)])


def is_finite(tensor: Tensor) -> bool:
    """Tells whether all values are finite, in one pass and without memory of the tensor's size."""
    if not tensor.numel():
        return True
    least, most = tensor.aminmax()  # NaN where any value is
    return bool(torch.isfinite(least) & torch.isfinite(most))
