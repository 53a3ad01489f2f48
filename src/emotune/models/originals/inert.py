"""PyTorch files with settings pickled beside the weights, read with stand-ins that keep what they are given.

Nothing of the file's own is imported or called. The table names the only classes that may occur beside tensors; each
becomes an ``Inert`` object, whose state is then read as plain data. Anything else is refused by its name.
"""

# pyright: strict, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import pickle
import re
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import torch

from emotune.errors import ModelError

STAND_INS = (
    "argparse.Namespace",
    "omegaconf.dictconfig.DictConfig",
    "omegaconf.listconfig.ListConfig",
    "omegaconf.base.ContainerMetadata",
    "omegaconf.base.Metadata",
    "omegaconf.nodes.AnyNode",
    "omegaconf.nodes.BooleanNode",
    "omegaconf.nodes.FloatNode",
    "omegaconf.nodes.IntegerNode",
    "omegaconf.nodes.StringNode",
    "fairseq.data.dictionary.Dictionary",
    "typing.Any",
    *(f"{module}.{name}" for module in ("builtins", "__builtin__") for name in ("dict", "list", "int", "str", "float")),
)
"""Classes of argparse, omegaconf and fairseq that such files hold, and the types that omegaconf notes of its values."""

_GLOBAL = re.compile(r"GLOBAL ([\w.]+)")
_TRUSTED = "Only weights of a source that you trust can be converted elsewhere: with the library that wrote the file."


class Inert:
    """Stands in for an object of a class that is not imported: it keeps arguments and state, and does nothing."""

    def __new__(cls, *arguments: Any) -> Inert:
        made = super().__new__(cls)
        made.state = arguments
        return made

    def __init__(self, *arguments: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        self.state = state


def read_inert(path: Path) -> Any:
    """Content of a PyTorch file, with stand-ins in the place of objects.

    Raises:
        ModelError: for a broken file, or one that holds objects of any other class, naming them.
    """
    _check_pytorch(path)
    allowed: list[Any] = [(_stand_in(name), name) for name in STAND_INS]
    with torch.serialization.safe_globals(allowed):
        try:
            return torch.load(path, map_location="cpu", weights_only=True)
        except pickle.UnpicklingError as error:
            raise ModelError(f"{path} holds {_strangers(path, error)}, which is not read. {_TRUSTED}") from error
        except Exception as error:  # of a file that is no PyTorch file, its reader raises what it likes
            raise ModelError(f"{path} cannot be read as a PyTorch file ({type(error).__name__}).") from error


def _check_pytorch(path: Path) -> None:
    """Refuses what does not begin as PyTorch's files do: as an archive, or as a pickle or tar of old.

    Raises:
        ModelError: for any other file.
    """
    try:
        with path.open("rb") as file:
            begins = file.read(4)
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}.") from error
    if not (begins.startswith((b"PK", b"\x80")) or tarfile.is_tarfile(path)):
        raise ModelError(
            f"{path} is no PyTorch file, expected a checkpoint as torch.save writes it, such as WavLM-Large.pt."
        )


def _stand_in(name: str) -> type[Inert]:
    """A class of its own for each name: PyTorch asks what a class is called."""
    module, _, own = name.rpartition(".")
    return type(own, (Inert,), {"__module__": module})


def _strangers(path: Path, error: Exception) -> str:
    try:
        found = torch.serialization.get_unsafe_globals_in_checkpoint(path)
    except Exception:  # it knows the newer format alone
        found = _GLOBAL.findall(str(error))
    names = sorted(set(found))
    return f"objects of {', '.join(names[:5])}" if names else "more than plain weights"


def settings_in(value: Any) -> Mapping[str, Any]:
    """Plain settings by name; none where the value holds anything else."""
    found = plain(value)
    return cast(Mapping[str, Any], found) if isinstance(found, Mapping) else {}


def plain(value: Any) -> Any:
    """Stand-ins as plain data: a namespace's or an omegaconf container's content, an omegaconf node's value."""
    if isinstance(value, Inert):
        state = value.state
        if not isinstance(state, dict):
            return None
        content = cast(dict[str, Any], state)
        if "_val" in content:
            return plain(content["_val"])
        return plain(content.get("_content", content))
    if isinstance(value, Mapping):
        return {plain(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    return value
