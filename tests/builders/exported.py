"""Folders of exported models with graphs written by hand: no torch, made in milliseconds."""

from pathlib import Path

import numpy as np
from onnx import TensorProto, checker, numpy_helper, save_model
from onnx.helper import make_graph, make_model, make_node, make_opsetid, make_tensor_value_info

from emotune.audio.preprocessing import Preprocessing
from emotune.io.tables import to_json, write_text
from emotune.models.exported import SCHEMA, answers_of
from emotune.schema.labels import LabelSpace

FLOAT, INT = TensorProto.FLOAT, TensorProto.INT64
WEIGHT = np.array([[3.0, -3.0]], dtype=np.float32)
"""of the loudness in the two probabilities: softmax of loudness times these, divided by the temperature"""


def save_exported(
    folder: Path,
    space: LabelSpace,
    *,
    temperature: float = 1.0,
    conditions: dict | None = None,
    preprocessing: Preprocessing | None = None,
    **config: object,
) -> Path:
    """Folder of a model of two classes that hears loudness: its embedding is the root mean square of the clip.

    A dimension is its scale's lower end plus the loudness. Conditions, each with a ``width``, change nothing.
    """
    assert len(space.classes) in (0, 2)
    folder.mkdir(parents=True, exist_ok=True)
    conditions = conditions or {}
    loudness = [
        make_node("Mul", ["waveforms", "waveforms"], ["squares"]),
        make_node("ReduceSum", ["squares", "one_axis"], ["energy"], keepdims=1),
        make_node("Cast", ["lengths"], ["counts"], to=FLOAT),
        make_node("Unsqueeze", ["counts", "one_axis"], ["samples"]),
        make_node("Div", ["energy", "samples"], ["power"]),
        make_node("Sqrt", ["power"], ["embedding"]),
    ]
    sound = [
        make_tensor_value_info("waveforms", FLOAT, ["batch", "length"]),
        make_tensor_value_info("lengths", INT, ["batch"]),
    ]
    embedding = make_tensor_value_info("embedding", FLOAT, ["batch", 1])
    given = [make_tensor_value_info(name, FLOAT, ["batch", about["width"]]) for name, about in conditions.items()]
    heads, outputs = _heads(space, list(conditions), temperature)
    whole = make_graph(
        [*loudness, *heads], "whole", [*sound, *given], [*outputs, embedding], _constants(space, temperature, axis=True)
    )
    behind = make_graph(heads, "heads", [embedding, *given], outputs, _constants(space, temperature))
    for name, graph in (("model.onnx", whole), ("heads.onnx", behind)):
        model = make_model(graph, opset_imports=[make_opsetid("", 20)], ir_version=10)
        checker.check_model(model)
        save_model(model, folder / name)
    about = {
        "schema": SCHEMA,
        "backbone": {"model_type": "whisper"},
        "conditions": conditions or None,
        **space.to_json(),
        "calibration": {"temperature": temperature, "thresholds": [], "fitted_on": {}},
        **config,
    }
    write_text(folder / "config.json", to_json(about))
    heard = preprocessing or Preprocessing("none", max_duration_s=30.0, min_samples=160)
    write_text(folder / "preprocessor_config.json", to_json(heard.to_json()))
    return folder


def _heads(space: LabelSpace, conditions: list[str], temperature: float):
    nodes = [
        make_node("MatMul", ["embedding", "weight"], ["scores"]),
        make_node("Div", ["scores", "temperature"], ["softened"]),
        *[make_node("ReduceSum", [name, "one_axis_of_heads"], [f"{name}_sum"], keepdims=1) for name in conditions],
        *[make_node("Mul", [f"{name}_sum", "nothing"], [f"{name}_nothing"]) for name in conditions],
    ]
    outputs = []
    for name in answers_of(space):
        if name == "probabilities":
            nodes.append(make_node("Softmax", ["softened"], [name], axis=1))
            outputs.append(make_tensor_value_info(name, FLOAT, ["batch", 2]))
        else:
            nodes.append(make_node("Squeeze", ["embedding", "one_axis_of_heads"], [f"{name}_loudness"]))
            nodes.append(make_node("Add", [f"{name}_loudness", f"{name}_low"], [name]))
            outputs.append(make_tensor_value_info(name, FLOAT, ["batch"]))
    return nodes, outputs


def _constants(space: LabelSpace, temperature: float, *, axis: bool = False):
    values = {
        "weight": WEIGHT,
        "temperature": np.float32(temperature),
        "one_axis_of_heads": np.array([1]),
        "nothing": np.float32(0),
        **{f"{name}_low": np.float32(scale.low) for name, scale in space.dimensions.items()},
        **({"one_axis": np.array([1])} if axis else {}),
    }
    return [numpy_helper.from_array(np.asarray(value), name) for name, value in values.items()]
