"""Eight-bit weights in a graph, with activations quantised as they come, each row by its own scale.

One scale for a whole tensor would let a loud clip spoil a quiet neighbour. Activations are unsigned with zero at 128:
onnxruntime multiplies unsigned by signed bytes many times faster than signed by signed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, numpy_helper
from onnx.helper import make_node

_STEPS = 127
_LEAST_PRODUCT = 16 * 16  # a smaller weight gains nothing
_LEAST_TABLE = 4096  # numbers of a constant that is worth storing in sixteen bits
_PREFIX, _INTEGERS, _SIZES, _HALVES = "int8_", "_integers", "_steps", "_halves"
_SMALLEST = 1e-20  # under any sound; keeps a row of zeros at zero


def quantize(proto: ModelProto) -> ModelProto:
    """Quantises the graph's products and convolutions; other large constants are stored in sixteen bits.

    Products with a constant matrix are done in integers. Convolutions keep their arithmetic: their weights are stored
    in eight bits, a scale for each output channel. Where sixteen bits would overflow, a constant stays.
    """
    result = ModelProto()
    result.CopyFrom(proto)
    graph = result.graph
    _Quantizer(graph).run()
    return result


def whole_constant(constants: Mapping[str, NDArray[Any]], name: str) -> NDArray[np.float32]:
    """A constant of a graph in float32, of its own shape, by the name that it had before it was quantised.

    Raises:
        KeyError: for a name that the graph never had.
    """
    if name in constants:
        return constants[name]
    if name + _HALVES in constants:
        return constants[name + _HALVES].astype(np.float32)
    integers, steps = constants[_PREFIX + name + _INTEGERS], constants[_PREFIX + name + _SIZES]
    is_product = integers.ndim == 2  # its steps are those of columns; those of a convolution, of output channels
    return integers.astype(np.float32) * (steps if is_product else steps.reshape(-1, *[1] * (integers.ndim - 1)))


class _Quantizer:
    def __init__(self, graph: GraphProto) -> None:
        self.graph = graph
        self.values = {value.name: value for value in graph.initializer}
        self.nodes: list[NodeProto] = []
        self.added: dict[str, TensorProto] = {}
        self.rows: dict[str, tuple[str, str]] = {}

    def run(self) -> None:
        """Rewrites the graph in place."""
        for node in self.graph.node:
            weight = self.values.get(node.input[1]) if len(node.input) > 1 else None
            if node.op_type == "MatMul" and weight is not None and _is_product(weight):
                self._product(node, numpy_helper.to_array(weight))
            elif node.op_type == "Conv" and weight is not None and _size(weight) >= _LEAST_PRODUCT:
                self._convolution(node, numpy_helper.to_array(weight))
            else:
                self.nodes.append(node)
        del self.graph.node[:]
        self.graph.node.extend(self.nodes)
        used = _uses(self.graph)
        kept = [value for name, value in self.values.items() if name in used]
        del self.graph.initializer[:]
        self.graph.initializer.extend([*kept, *self.added.values()])
        _store_in_sixteen_bits(self.graph)

    def _product(self, node: NodeProto, weight: NDArray[np.float32]) -> None:
        """Product x W = (row scales) (column scales) (integers of x) (integers of W)."""
        steps = _product_steps(weight)
        integers = np.rint(weight / steps).astype(np.int8)
        rows, scales = self._quantized_rows(node.input[0])
        name = node.output[0]
        matrix = self._constant(node.input[1] + _INTEGERS, integers)
        columns = self._constant(node.input[1] + _SIZES, steps[0])
        self.nodes += [
            make_node("MatMulInteger", [rows, matrix, self._zero()], [f"{name}_integers"]),
            make_node("Cast", [f"{name}_integers"], [f"{name}_float"], to=TensorProto.FLOAT),
            make_node("Mul", [f"{name}_float", scales], [f"{name}_rows"]),
            make_node("Mul", [f"{name}_rows", columns], [name]),
        ]

    def _quantized_rows(self, name: str) -> tuple[str, str]:
        """Names of the integers of a tensor, and of a scale for each of its rows; once for all its products."""
        if name not in self.rows:
            most, least = self._constant("steps", np.float32(_STEPS)), self._constant("smallest", np.float32(_SMALLEST))
            one, last = self._constant("one", np.float32(1)), self._constant("last_axis", np.array([-1]))
            own = {part: f"{name}_{part}" for part in ("magnitude", "largest", "range", "scale", "scaled", "rows")}
            self.nodes += [
                make_node("Abs", [name], [own["magnitude"]]),
                make_node("ReduceMax", [own["magnitude"], last], [own["largest"]], keepdims=1),
                make_node("Max", [own["largest"], least], [own["range"]]),
                make_node("Div", [own["range"], most], [own["scale"]]),
                make_node("Div", [name, own["scale"]], [own["scaled"]]),
                make_node("QuantizeLinear", [own["scaled"], one, self._zero()], [own["rows"]]),
            ]
            self.rows[name] = own["rows"], own["scale"]
        return self.rows[name]

    def _convolution(self, node: NodeProto, weight: NDArray[np.float32]) -> None:
        steps = _steps_of(np.abs(weight).reshape(len(weight), -1).max(axis=1))
        shaped = steps.reshape(-1, *[1] * (weight.ndim - 1))
        integers = self._constant(node.input[1] + _INTEGERS, np.rint(weight / shaped).astype(np.int8))
        scale = self._constant(node.input[1] + _SIZES, steps)
        whole = f"{node.input[1]}_whole"
        if not any(whole in other.output for other in self.nodes):
            self.nodes.append(make_node("DequantizeLinear", [integers, scale], [whole], axis=0))
        node.input[1] = whole
        self.nodes.append(node)

    def _zero(self) -> str:
        return self._constant("zero_point", np.uint8(128))

    def _constant(self, name: str, value: NDArray[np.generic] | np.generic) -> str:
        name = _PREFIX + name
        self.added.setdefault(name, numpy_helper.from_array(np.asarray(value), name))
        return name


def _store_in_sixteen_bits(graph: GraphProto) -> None:
    casts: list[NodeProto] = []
    for table in filter(_is_table, graph.initializer):
        name = table.name
        table.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(table).astype(np.float16), name + _HALVES))
        casts.append(make_node("Cast", [table.name], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)


def _product_steps(weight: NDArray[np.float32]) -> NDArray[np.float32]:
    """Size of one step of each column of a matrix, shape (1, columns).

    Without VNNI, processors multiply two neighbouring rows of weights by activations of up to 255 and add both products
    in sixteen bits, where an overflow would be silent. So the step is as large as it takes for any two neighbours of
    one sign to stay within 127 together (128 once rounded): 255 x 128 fits.
    """
    even = np.pad(weight, ((0, len(weight) % 2), (0, 0)))
    alone, together = np.abs(weight).max(axis=0), np.abs(even[0::2] + even[1::2]).max(axis=0)
    return _steps_of(np.maximum(alone, together))[None]


def _steps_of(largest: NDArray[np.floating]) -> NDArray[np.float32]:
    """Size of one step where the largest number takes 127; one where it is zero."""
    return np.where(largest > 0, largest / _STEPS, 1).astype(np.float32)


def _is_product(weight: TensorProto) -> bool:
    return weight.data_type == TensorProto.FLOAT and len(weight.dims) == 2 and _size(weight) >= _LEAST_PRODUCT


def _is_table(value: TensorProto) -> bool:
    if value.data_type != TensorProto.FLOAT or _size(value) < _LEAST_TABLE:
        return False
    return bool(np.abs(numpy_helper.to_array(value)).max() < np.finfo(np.float16).max)


def _size(value: TensorProto) -> int:
    return int(np.prod(value.dims))


def _uses(graph: GraphProto) -> set[str]:
    """Names of the values that an operation or the outside reads."""
    return {name for node in graph.node for name in node.input} | {value.name for value in graph.output}
