"""Broken folders of exported models: one clear error each, that names the file, what is wrong and the cure."""

import json
import shutil
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import emotune
from builders.exported import save_exported
from builders.recordings import write_recording
from emotune.errors import ModelError
from emotune.schema.labels import LabelSpace, Scale

CURE = "copy it again, or export the model again"
CONFIG, PREPROCESSOR, GRAPH, HEADS = "config.json", "preprocessor_config.json", "model.onnx", "heads.onnx"
Change = Callable[[Path], object]


def edit_json(name: str, **changes) -> Change:
    """Changes keys of a JSON file of the model."""

    def edit(folder: Path) -> None:
        path = folder / name
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return edit


def write(name: str, content: bytes) -> Change:
    return lambda folder: (folder / name).write_bytes(content)


def remove(name: str) -> Change:
    return lambda folder: (folder / name).unlink()


def cut(name: str, share: float) -> Change:
    def edit(folder: Path) -> None:
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[: round(len(content) * share)])

    return edit


def spoilt(folder: Path) -> None:
    """Every 40th byte is another one."""
    content = bytearray((folder / GRAPH).read_bytes())
    content[::40] = bytes(255 - byte for byte in content[::40])
    (folder / GRAPH).write_bytes(content)


def a_folder(folder: Path) -> None:
    (folder / GRAPH).unlink()
    (folder / GRAPH).mkdir()


def edit_graph(change: Callable[[onnx.ModelProto], object], name: str = GRAPH) -> Change:
    def edit(folder: Path) -> None:
        model = onnx.load(folder / name, load_external_data=False)
        change(model)
        (folder / name).write_bytes(model.SerializeToString())

    return edit


def renamed(old: str, new: str) -> Callable[[onnx.ModelProto], None]:
    """An input or output under another name."""

    def change(model: onnx.ModelProto) -> None:
        for value in [*model.graph.input, *model.graph.output]:
            value.name = new if value.name == old else value.name
        for node in model.graph.node:
            node.input[:] = [new if name == old else name for name in node.input]
            node.output[:] = [new if name == old else name for name in node.output]

    return change


def typed(name: str, kind: int, through: str) -> Callable[[onnx.ModelProto], None]:
    """An input of another type, which the graph itself turns back."""

    def change(model: onnx.ModelProto) -> None:
        for node in model.graph.node:
            node.input[:] = [f"{name}_as_it_was" if own == name else own for own in node.input]
        model.graph.node.insert(0, helper.make_node("Cast", [name], [f"{name}_as_it_was"], to=through))
        for value in model.graph.input:
            if value.name == name:
                value.type.tensor_type.elem_type = kind

    return change


def outside(location: str) -> Callable[[onnx.ModelProto], None]:
    """Weights in a file of their own."""

    def change(model: onnx.ModelProto) -> None:
        weight = next(tensor for tensor in model.graph.initializer if tensor.name == "weight")
        weight.ClearField("raw_data")
        weight.data_location = TensorProto.EXTERNAL
        for key, value in {"location": location, "offset": "0", "length": "8"}.items():
            weight.external_data.add(key=key, value=value)

    return change


def weights_of(*values: float) -> Callable[[onnx.ModelProto], None]:
    def change(model: onnx.ModelProto) -> None:
        for position, tensor in enumerate(model.graph.initializer):
            if tensor.name == "weight":
                model.graph.initializer[position].CopyFrom(
                    numpy_helper.from_array(np.array([values], dtype=np.float32), "weight")
                )

    return change


def three_probabilities(model: onnx.ModelProto) -> None:
    weights_of(1.0, 2.0, 3.0)(model)
    (value,) = (value for value in model.graph.output if value.name == "probabilities")
    value.type.tensor_type.shape.dim[1].dim_value = 3


def wider_embedding(model: onnx.ModelProto) -> None:
    weight = numpy_helper.from_array(np.ones((5, 2), dtype=np.float32), "weight")
    model.graph.initializer[[tensor.name for tensor in model.graph.initializer].index("weight")].CopyFrom(weight)
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 5


def of_another_opset(model: onnx.ModelProto) -> None:
    model.opset_import[0].version = 99


def of_a_later_format(model: onnx.ModelProto) -> None:
    model.ir_version = 99


def without_nodes(model: onnx.ModelProto) -> None:
    del model.graph.node[:]


def with_a_foreign_operator(model: onnx.ModelProto) -> None:
    model.graph.node[0].op_type, model.graph.node[0].domain = "Listen", "com.somebody"
    model.opset_import.append(helper.make_opsetid("com.somebody", 1))


def one_more_output(model: onnx.ModelProto) -> None:
    model.graph.output.append(helper.make_tensor_value_info("energy", TensorProto.FLOAT, ["batch", 1]))


FAULTS: dict[str, tuple[Change, list[str]]] = {
    "config missing": (remove(CONFIG), ["a folder without config.json", "expected a model folder"]),
    "config not JSON": (write(CONFIG, b"{"), [CONFIG, "cannot be read as JSON"]),
    "config of another schema": (edit_json(CONFIG, schema="emotune-onnx/9"), [CONFIG, "emotune-onnx/9"]),
    "config without classes": (edit_json(CONFIG, classes=None), ["classes", CURE]),
    "config with one class more": (edit_json(CONFIG, classes=["a", "b", "c"]), [GRAPH, "2 probabilities", CURE]),
    "config with other dimensions": (edit_json(CONFIG, dimensions={"valence": [1, 7]}), [GRAPH, "valence", CURE]),
    "config of neither": (edit_json(CONFIG, classes=[], dimensions={}), [CONFIG, "neither classes", CURE]),
    "config with a condition more": (
        edit_json(CONFIG, conditions={"gender": {"width": "two"}}),
        ["gender", "'two', expected a whole number", CURE],
    ),
    "conditions a list": (edit_json(CONFIG, conditions=["gender"]), [CONFIG, CURE]),
    "condition a word": (edit_json(CONFIG, conditions={"gender": "given"}), [CONFIG, CURE]),
    "calibration a word": (edit_json(CONFIG, calibration="good"), ["calibration must hold", CURE]),
    "preprocessing missing": (remove(PREPROCESSOR), [PREPROCESSOR, "does not exist", CURE]),
    "preprocessing at another rate": (edit_json(PREPROCESSOR, sampling_rate_hz=8000), ["must be 16000", CURE]),
    "graph missing": (remove(GRAPH), [GRAPH, "is missing", CURE]),
    "heads missing": (remove(HEADS), [HEADS, "is missing", CURE]),
    "graph a folder": (a_folder, [GRAPH, "is missing", CURE]),
    "graph cut in the middle": (cut(GRAPH, 0.5), [GRAPH, CURE]),
    "graph cut at its end": (cut(GRAPH, 0.99), [GRAPH, CURE]),
    "graph empty": (write(GRAPH, b""), [GRAPH, CURE]),
    "graph a git-LFS pointer": (write(GRAPH, b"version https://git-lfs.github.com/spec/v1\n"), [GRAPH, CURE]),
    "graph with other bytes": (spoilt, [GRAPH, CURE]),
    "graph without nodes": (edit_graph(without_nodes), [GRAPH, CURE]),
    "graph of another opset": (edit_graph(of_another_opset), [GRAPH, "Opset 99", CURE]),
    "graph of a later format": (edit_graph(of_a_later_format), [GRAPH, "model IR version: 99", CURE]),
    "graph with an operator of others": (edit_graph(with_a_foreign_operator), [GRAPH, "Listen", CURE]),
    "input under another name": (edit_graph(renamed("waveforms", "audio")), [GRAPH, "takes audio", CURE]),
    "waveforms of another type": (
        edit_graph(typed("waveforms", TensorProto.DOUBLE, TensorProto.FLOAT)),
        [GRAPH, "waveforms", "double", CURE],
    ),
    "lengths of another type": (
        edit_graph(typed("lengths", TensorProto.INT32, TensorProto.INT64)),
        [GRAPH, "lengths", "int32", CURE],
    ),
    "output under another name": (edit_graph(renamed("probabilities", "answers")), [GRAPH, "gives answers", CURE]),
    "one output more": (edit_graph(one_more_output), [GRAPH, "energy", CURE]),
    "graph with a class more": (edit_graph(three_probabilities), [GRAPH, "3 probabilities", CURE]),
    "heads with a class more": (edit_graph(three_probabilities, HEADS), [HEADS, "3 probabilities", CURE]),
    "heads of another embedding": (edit_graph(wider_embedding, HEADS), [HEADS, "instead of 5", CURE]),
    "whole graph in place of the heads": (
        lambda folder: shutil.copy(folder / GRAPH, folder / HEADS),
        [HEADS, "takes waveforms", CURE],
    ),
    "weights in an absolute path": (edit_graph(outside("/etc/hostname")), [GRAPH, "xternal data path", CURE]),
    "weights above the folder": (edit_graph(outside("../secret.bin")), [GRAPH, "xternal data path", CURE]),
    "weights in the working folder": (edit_graph(outside("secret.bin")), [GRAPH, "xternal data path", CURE]),
}


@pytest.fixture
def model(tmp_path, monkeypatch) -> Path:
    """A whole folder; beside it, and where the program runs, files that no graph may read."""
    for place in (tmp_path / "secret.bin", tmp_path / "here" / "secret.bin"):
        place.parent.mkdir(exist_ok=True)
        place.write_bytes(np.array([1.0, 2.0], dtype=np.float32).tobytes())
    monkeypatch.chdir(tmp_path / "here")
    return save_exported(tmp_path / "model", LabelSpace(("anger", "neutral"), {"arousal": Scale(1, 7)}))


@pytest.mark.parametrize("case", FAULTS)
def test_a_broken_export_is_a_model_error_that_says_what_and_where(model, case, capfd):
    change, words = FAULTS[case]
    change(model)
    of_heads = words[0] == HEADS and case != "heads missing"
    with nullcontext() if of_heads else pytest.raises(ModelError) as caught:
        predictor = emotune.load(model)
    if of_heads:  # they are read when they are first asked
        with pytest.raises(ModelError) as caught:
            predictor.engine.answers_to(np.zeros((1, 1), dtype=np.float32))
    for word in [*words, str(model)]:
        assert word in str(caught.value)
    assert len(str(caught.value)) < 700
    assert capfd.readouterr() == ("", "")  # nothing of the library's own log


def test_heads_of_another_model_are_refused(tmp_path):
    folder = save_exported(tmp_path, LabelSpace(("anger", "neutral")))
    edit_graph(wider_embedding, HEADS)(folder)
    with pytest.raises(ModelError, match=r"heads\.onnx takes embeddings of 5 features; model\.onnx gives 1\."):
        emotune.load(folder).engine.answers_to(np.zeros((1, 1), dtype=np.float32))


def test_weights_that_are_not_finite_are_an_error_row(model, emotune_command):
    edit_graph(weights_of(float("nan"), 1.0))(model)
    said = emotune_command("predict", model, write_recording(Path("clip.wav")))
    assert said.code == 1
    assert "clip.wav: the model's output is not finite; the model folder holds broken weights" in said.err


def test_a_broken_export_ends_the_command_with_its_error(model, emotune_command):
    cut(GRAPH, 0.5)(model)
    said = emotune_command("predict", model, write_recording(Path("clip.wav")))
    assert (said.code, said.out) == (2, "")
    assert [line.partition(": ")[0] for line in said.err.splitlines()] == ["error", "more"]
