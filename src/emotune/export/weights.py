"""A model's weights in its graph: noted when it is exported, and found again when training goes on from it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import GraphProto, ModelProto, TensorProto, numpy_helper
from torch import Tensor

from emotune.errors import ModelError
from emotune.export.int8 import whole_constant
from emotune.models.exported import CURE

WEIGHTS = "emotune.weights"
"""Entry of the metadata: weight -> constant, with ``.T`` where that is the weight transposed, or the weight itself."""
_TRANSPOSED = ".T"
_MOST_NUMBERS = 1024  # of a weight that is noted itself

Place = str | list[Any]
"""Name of a constant, or the numbers of a weight in nested lists."""


def places_of(proto: ModelProto, weights: Mapping[str, Tensor]) -> dict[str, Place]:
    """Places of a model's weights in its graph, found by their content and shape.

    Of some weights the exporter keeps only what it has computed from them, such as the shares of a layer mix: where
    they are small they are noted themselves, else they have no place.
    """
    constants = {
        _content(numpy_helper.to_array(constant)): constant.name
        for constant in proto.graph.initializer
        if constant.data_type == TensorProto.FLOAT
    }
    found: dict[str, Place] = {}
    for name, tensor in weights.items():
        value = tensor.detach().cpu().float().numpy()
        if (constant := constants.get(_content(value))) is not None:
            found[name] = constant
        elif value.ndim == 2 and (constant := constants.get(_content(value.T))) is not None:
            found[name] = constant + _TRANSPOSED
        elif value.size <= _MOST_NUMBERS:
            found[name] = value.tolist()
    return found


def read_weights(path: Path) -> dict[str, NDArray[np.float32]]:
    """Weights by name out of a graph, as exactly as it has them: in eight bits they are rounded.

    Raises:
        ModelError: for a file that is no such graph.
    """
    try:
        proto = onnx.load_model(path)
        noted = {entry.key: entry.value for entry in proto.metadata_props}.get(WEIGHTS)
        return {} if noted is None else _weights(proto.graph, json.loads(noted))
    except Exception as error:  # of a damaged file, libraries raise what they like
        raise ModelError(f"{path} cannot be read for its weights ({type(error).__name__}: {error}). {CURE}") from error


def _weights(graph: GraphProto, noted: Mapping[str, Place]) -> dict[str, NDArray[np.float32]]:
    constants = {constant.name: numpy_helper.to_array(constant) for constant in graph.initializer}
    weights: dict[str, NDArray[np.float32]] = {}
    for name, place in noted.items():
        if isinstance(place, str):
            value = whole_constant(constants, place.removesuffix(_TRANSPOSED))
            weights[name] = value.T if place.endswith(_TRANSPOSED) else value
        else:
            weights[name] = np.array(place, dtype=np.float32)
    return weights


def _content(value: NDArray[np.generic]) -> tuple[tuple[int, ...], bytes]:
    return value.shape, hashlib.sha256(np.ascontiguousarray(value).tobytes()).digest()
