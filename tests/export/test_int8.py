"""Eight bits: products in integers, each row by its own scale, against the same sums worked out with numpy."""

import numpy as np
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import ModelProto, TensorProto, numpy_helper
from onnx.helper import make_graph, make_model, make_node, make_opsetid, make_tensor_value_info

from emotune.export.int8 import quantize

FLOAT = TensorProto.FLOAT
GENERATOR = np.random.default_rng(0)
WEIGHT = GENERATOR.standard_normal((32, 48)).astype(np.float32)
KERNEL = GENERATOR.standard_normal((24, 32, 3)).astype(np.float32)
TABLE = GENERATOR.standard_normal((100, 48)).astype(np.float32)


def graph() -> ModelProto:
    nodes = [
        make_node("MatMul", ["rows", "weight"], ["product"]),
        make_node("MatMul", ["rows", "weight"], ["same"]),
        make_node("Add", ["product", "table"], ["sum"]),
        make_node("Transpose", ["rows"], ["channels"], perm=[0, 2, 1]),
        make_node("Conv", ["channels", "kernel"], ["convolved"], pads=[1, 1]),
    ]
    constants = {"weight": WEIGHT, "kernel": KERNEL, "table": TABLE}
    return make_model(
        make_graph(
            nodes,
            "graph",
            [make_tensor_value_info("rows", FLOAT, ["batch", 100, 32])],
            [make_tensor_value_info(name, FLOAT, None) for name in ("sum", "same", "convolved")],
            [numpy_helper.from_array(value, name) for name, value in constants.items()],
        ),
        opset_imports=[make_opsetid("", 20)],
        ir_version=10,
    )


def answers(rows: np.ndarray) -> list[np.ndarray]:
    session = onnxruntime.InferenceSession(quantize(graph()).SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"rows": rows.astype(np.float32)})


def by_hand(rows: np.ndarray) -> np.ndarray:
    """The product of integers: rows in steps of their largest / 127, columns of their largest number or pair / 127."""
    scales = np.abs(rows).max(axis=-1, keepdims=True) / 127
    pairs = [WEIGHT[row] + WEIGHT[row + 1] for row in range(0, len(WEIGHT), 2)]
    steps = np.abs([*WEIGHT, *pairs]).max(axis=0) / 127
    return (np.rint(rows / scales) @ np.rint(WEIGHT / steps)) * scales * steps


def test_a_product_is_that_of_rounded_rows_and_columns():
    rows = GENERATOR.standard_normal((2, 100, 32)).astype(np.float32)
    total, same, _ = answers(rows)
    np.testing.assert_allclose(same, by_hand(rows), rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(total, by_hand(rows) + TABLE.astype(np.float16), rtol=1e-4, atol=2e-3)
    exact = rows @ WEIGHT
    assert np.abs(same - exact).max() < 0.05 * np.abs(exact).max()


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(16, 65), st.sampled_from([0.2, 1.0, 4.0]))
def test_two_neighbouring_products_fit_sixteen_bits(seed, rows, tails):
    """Unsigned activations of up to 255 by the integers of two rows, as processors without VNNI add them."""
    draws = np.random.default_rng(seed)
    weight = np.sign(draws.standard_normal((rows, 33))) * draws.standard_exponential((rows, 33)) ** tails
    node = make_node("MatMul", ["x", "weight"], ["product"])
    values = [make_tensor_value_info(name, FLOAT, None) for name in ("x", "product")]
    constant = numpy_helper.from_array(weight.astype(np.float32), "weight")
    quantized = quantize(make_model(make_graph([node], "graph", values[:1], values[1:], [constant])))
    stored = {value.name: numpy_helper.to_array(value) for value in quantized.graph.initializer}
    integers = next(value for value in stored.values() if value.dtype == np.int8).astype(int)
    pairs = [integers[row : row + 2] for row in range(0, rows, 2)]
    highest = max(np.maximum(pair, 0).sum(axis=0).max() for pair in pairs) * 255
    lowest = min(np.minimum(pair, 0).sum(axis=0).min() for pair in pairs) * 255
    assert -(2**15) <= lowest <= highest < 2**15
    assert np.abs(integers).max() > 64  # more steps than half, which would hold the bound for any weight


def test_a_loud_clip_does_not_spoil_a_quiet_neighbour():
    quiet, loud = 1e-3 * GENERATOR.standard_normal((2, 100, 32)).astype(np.float32)
    alone, beside = answers(quiet[None])[1][0], answers(np.stack([quiet, 1e5 * loud]))[1][0]
    np.testing.assert_array_equal(alone, beside)
    assert np.abs(alone - quiet @ WEIGHT).max() < 0.05 * np.abs(quiet @ WEIGHT).max()


def test_a_row_of_zeros_stays_zero():
    _, same, convolved = answers(np.zeros((1, 100, 32)))
    assert not same.any()
    assert not convolved.any()


def test_convolutions_keep_their_arithmetic_with_weights_in_eight_bits():
    rows = GENERATOR.standard_normal((1, 100, 32)).astype(np.float32)
    steps = np.abs(KERNEL).reshape(24, -1).max(axis=1) / 127
    rounded = np.rint(KERNEL / steps[:, None, None]) * steps[:, None, None]
    padded = np.pad(rows[0].T, ((0, 0), (1, 1)))
    expected = sum(rounded[:, :, tap] @ padded[:, tap : tap + 100] for tap in range(3))
    np.testing.assert_allclose(answers(rows)[2][0], expected, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("name", ["weight", "kernel", "table"])
def test_no_large_constant_is_left_in_thirty_two_bits(name):
    kept = {value.name: value for value in quantize(graph()).graph.initializer}
    assert name not in kept
    assert all(np.prod(value.dims) <= 48 for value in kept.values() if value.data_type == FLOAT)
