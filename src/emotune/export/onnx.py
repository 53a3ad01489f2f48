"""Exports a trained model as ONNX: the whole graph, and the part behind the pooling."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Sequence
from typing import Any

import onnx
import torch
from onnx import ModelProto
from torch import Tensor, nn
from torch.export import Dim

from emotune.audio.preprocessing import Preprocessing
from emotune.errors import ConfigError
from emotune.export.graph import Answers, WholeModel
from emotune.models.emotion_model import EmotionModel
from emotune.models.exported import EMBEDDING, LENGTHS, PROBABILITIES, WAVEFORMS, answers_of

OPSET = 20
_LARGEST = 2**31 - 1  # a protobuf file holds no more
_EXAMPLES = 3  # clips: with two, two of something else in the model would be taken for the batch
_SUFFIX = "_inside"


def whole_graph(model: EmotionModel, *, preprocessing: Preprocessing, temperature: float) -> ModelProto:
    """Graph from raw samples to the named answers and the embedding; batch and length are free.

    Raises:
        ConfigError: for a model that cannot be exported, with the reason.
    """
    shortest = max(encoder.min_samples for encoder in model.encoders)
    samples = 2 * shortest + 16000
    mask = torch.arange(samples)[None, :] < torch.tensor([samples, samples - 3000, samples - 7000])[:, None]
    waveforms = (0.1 * torch.randn(_EXAMPLES, samples, generator=torch.Generator().manual_seed(0))) * mask
    batch = Dim("batch", min=2)  # what holds from here on is not proved again for one clip, or for a single frame
    return _graph_of(
        WholeModel(model, preprocessing=preprocessing, temperature=temperature),
        model,
        {WAVEFORMS: waveforms, LENGTHS: mask.sum(dim=1)},
        [{0: batch, 1: Dim("samples", min=4 * shortest)}, {0: batch}],
        [*answers_of(model.label_space), EMBEDDING],
    )


def heads_graph(model: EmotionModel, *, temperature: float) -> ModelProto:
    """Graph from the embedding to the named answers; the batch is free."""
    features = model.standardize.mean.shape  # (features,), or (layers, features)
    return _graph_of(
        Answers(model, temperature=temperature),
        model,
        {EMBEDDING: torch.randn(_EXAMPLES, *features, generator=torch.Generator().manual_seed(0))},
        [{0: Dim("batch")}],
        answers_of(model.label_space),
    )


def _graph_of(
    module: nn.Module, model: EmotionModel, inputs: dict[str, Tensor], free: list[Any], outputs: Sequence[str]
) -> ModelProto:
    widths = {} if model.joined is None else model.joined.widths
    inputs = inputs | {name: torch.zeros(_EXAMPLES, width) for name, width in widths.items()}
    _check_names([*inputs, *outputs])
    if widths:
        free = [*free, tuple({0: free[0][0]} for _ in widths)]
    try:
        with _silence(), torch.no_grad():
            program = torch.onnx.export(
                module.eval(),
                tuple(inputs.values()),
                dynamo=True,
                dynamic_shapes=tuple(free),
                input_names=list(inputs),
                output_names=[name + _SUFFIX for name in outputs],
                opset_version=OPSET,
                optimize=True,
                external_data=False,
            )
    except Exception as error:  # a converter raises what it likes of a part that it does not know
        reason = " ".join(str(error.__cause__ or error).split())[:300]
        raise ConfigError(
            f"The model cannot be exported to ONNX: {type(error).__name__}: {reason}. A part of it, such as one of"
            " another package, is not made of operations that ONNX has."
        ) from error
    assert program is not None
    proto = program.model_proto
    if proto.ByteSize() > _LARGEST:
        raise ConfigError(
            f"The graph would take {proto.ByteSize() / 2**30:.1f} GB, and a file of ONNX holds 2. Keep fewer layers"
            " (model.backbone.layers), or distil the model into a smaller one."
        )
    _forget_the_source(proto)
    _rename_outputs(proto, outputs)
    onnx.checker.check_model(proto)
    return proto


def _check_names(names: Sequence[str]) -> None:
    """Inputs and outputs go by name, so that a dimension must not be called as another of them."""
    twice = sorted({name for name in names if list(names).count(name) > 1})
    if twice:
        known = ", ".join((WAVEFORMS, LENGTHS, PROBABILITIES, EMBEDDING))
        raise ConfigError(
            f"The graph would have two inputs or outputs called '{twice[0]}'. Call the dimension otherwise when the"
            f" corpus is read (--column 'NAME={twice[0]}'); taken are {known} and the names of the conditions."
        )


def _forget_the_source(proto: ModelProto) -> None:
    """Leaves out what the exporter notes of every operation's Python lines, and the shapes of values inside."""
    graph = proto.graph
    for part in [proto, graph, *graph.node, *graph.input, *graph.output, *graph.initializer]:
        del part.metadata_props[:]
        part.doc_string = ""
    del graph.value_info[:]


def _rename_outputs(proto: ModelProto, outputs: Sequence[str]) -> None:
    """Gives outputs their names; values inside that have such a name already get another."""
    taken = {proto.graph.output[place].name: name for place, name in enumerate(outputs)}
    clashes = {name: f"{name}{_SUFFIX}_value" for name in outputs}
    renamed = clashes | taken
    graph = proto.graph
    for node in graph.node:
        node.input[:] = [renamed.get(name, name) for name in node.input]
        node.output[:] = [renamed.get(name, name) for name in node.output]
    for value in [*graph.output, *graph.initializer]:
        value.name = renamed.get(value.name, value.name)
    given = {value.name for value in graph.input}
    assert not given & set(clashes), "inputs and outputs have different names"


@contextlib.contextmanager
def _silence():
    """Keeps the exporter's notes to itself."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
