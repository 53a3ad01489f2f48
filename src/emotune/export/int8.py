"""Eight-bit weights in a graph, with activations quantised as they come, each row by its own scale.

One scale for a whole tensor would let a loud clip spoil a quiet neighbour. Activations are unsigned with zero at 128:
onnxruntime multiplies unsigned by signed bytes many times faster than signed by signed.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, numpy_helper
from onnx.helper import make_node

_STEPS = 127
_PRODUCT_STEPS = 64  # of weights: two products of 255 by 64 fit the sixteen bits in which processors without VNNI add
_LEAST_PRODUCT = 16 * 16  # a smaller weight gains nothing
_LEAST_TABLE = 4096  # numbers of a constant that is worth storing in sixteen bits
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
        steps = _steps_of(weight, axis=0, most=_PRODUCT_STEPS)
        integers = np.rint(weight / steps).astype(np.int8)
        rows, scales = self._quantized_rows(node.input[0])
        name = node.output[0]
        matrix = self._constant(f"{node.input[1]}_integers", integers)
        columns = self._constant(f"{node.input[1]}_steps", steps[0])
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
        steps = _steps_of(weight.reshape(len(weight), -1), axis=1, most=_STEPS)[:, 0]
        shaped = steps.reshape(-1, *[1] * (weight.ndim - 1))
        integers = self._constant(f"{node.input[1]}_integers", np.rint(weight / shaped).astype(np.int8))
        scale = self._constant(f"{node.input[1]}_steps", steps)
        whole = f"{node.input[1]}_whole"
        if not any(whole in other.output for other in self.nodes):
            self.nodes.append(make_node("DequantizeLinear", [integers, scale], [whole], axis=0))
        node.input[1] = whole
        self.nodes.append(node)

    def _zero(self) -> str:
        return self._constant("zero_point", np.uint8(128))

    def _constant(self, name: str, value: NDArray[np.generic] | np.generic) -> str:
        name = f"int8_{name}"
        self.added.setdefault(name, numpy_helper.from_array(np.asarray(value), name))
        return name


def _store_in_sixteen_bits(graph: GraphProto) -> None:
    casts: list[NodeProto] = []
    for table in filter(_is_table, graph.initializer):
        name = table.name
        table.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(table).astype(np.float16), f"{name}_halves"))
        casts.append(make_node("Cast", [table.name], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)


def _steps_of(weight: NDArray[np.float32], *, axis: int, most: int) -> NDArray[np.float32]:
    """Size of one step of each row or column, the axis kept; a row of zeros has steps of one."""
    largest = np.abs(weight).max(axis=axis, keepdims=True)
    return np.where(largest > 0, largest / most, 1).astype(np.float32)


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
