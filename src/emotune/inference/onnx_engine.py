"""Runs an exported model with onnxruntime; needs no torch."""
# onnxruntime leaves its inputs and outputs untyped.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from emotune.audio import FloatArray
from emotune.errors import ConfigError, ModelError
from emotune.inference.engine import EngineError, EngineOutput
from emotune.models.exported import CURE, EMBEDDING, LENGTHS, PROBABILITIES, WAVEFORMS, ExportedModel, read_exported
from emotune.models.folder import GRAPH, HEADS_GRAPH
from emotune.runtime.memory_allocator import give_back_freed_memory
from emotune.runtime.threads import usable_cores

_FLOATS, _COUNTS = "tensor(float)", "tensor(int64)"
_SOURCE = re.compile(r"\[ONNXRuntimeError\] : \d+ : \w+ : (\S+\.(cc|h):\d+ .*?\) (?=[A-Z!]))?")
"""Beginning of a message of onnxruntime: its code, and the line of its own source with the function's signature."""

_KEPT_S = 100.0
"""Seconds of sound after which freed memory goes back: oftener costs time, and more seldom the heaps grow."""


class OnnxEngine:
    """An ``Engine`` over the graphs of an exported model.

    Every clip is run by one thread, and as many clips of a batch at a time as there are threads: that beats several
    threads for each clip, and an answer is the same to the bit for any number of them. Memory of clips is freed after
    each, and given back now and then, so that ever-changing lengths do not pile up. The graph of the heads is read when
    it is first asked.

    Args:
        model: as its folder describes it.
        threads: clips at a time; None = one a core.

    Raises:
        ModelError: for a graph that cannot be run, or that does not fit the description.
    """

    concurrency = 1

    def __init__(self, model: ExportedModel, *, threads: int | None = None) -> None:
        self.label_space = model.label_space
        self.preprocessing = model.preprocessing
        self.calibration = model.calibration
        self.fingerprint: str | None = model.fingerprint
        self.conditions: Mapping[str, Mapping[str, Any]] = model.conditions
        self._whole = _session(model.folder / GRAPH)
        self._model, self._at_a_time = model, threads or usable_cores()
        self._heard_s = 0.0  # since memory was given back
        _check(self._whole, model.inputs, [*model.answers, EMBEDDING], model, GRAPH)

    @classmethod
    def load(cls, folder: str | Path, *, device: str | None = None, threads: int | None = None) -> OnnxEngine:
        """Loads the folder of an exported model; see ``emotune.load``.

        Raises:
            ConfigError: for a device other than the CPU.
        """
        if device not in (None, "cpu"):
            raise ConfigError(
                f"An exported model runs on the CPU; device '{device}' is for models of PyTorch. Leave the device out."
            )
        return cls(read_exported(Path(folder)), threads=threads)

    @cached_property
    def _threads(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(self._at_a_time, thread_name_prefix="onnx")

    def _alone(
        self, waveforms: Sequence[FloatArray], conditions: Sequence[Mapping[str, FloatArray]], place: int
    ) -> EngineOutput:
        return self.run_padded(waveforms[place : place + 1], conditions[place : place + 1])

    @cached_property
    def _heads(self) -> onnxruntime.InferenceSession:
        model = self._model
        heads = _session(model.folder / HEADS_GRAPH)
        _check(heads, [EMBEDDING, *model.conditions], model.answers, model, HEADS_GRAPH)
        _check_embedding(self._whole, heads, model)
        return heads

    def run(self, waveforms: Sequence[FloatArray], conditions: Sequence[Mapping[str, FloatArray]] = ()) -> EngineOutput:
        """Prepared clips, each shape (samples,), to probabilities, unit-scale dimensions and embeddings.

        Each goes alone: on a CPU that is no slower, nothing is computed on padding, and no clip depends on another.

        Raises:
            EngineError: when memory does not suffice for a clip.
        """
        run_each = map if min(len(waveforms), self._at_a_time) == 1 else self._threads.map
        outputs = list(run_each(partial(self._alone, waveforms, conditions), range(len(waveforms))))
        self._heard_s += sum(map(len, waveforms)) / self.preprocessing.sampling_rate_hz
        if self._heard_s > _KEPT_S:
            self._heard_s = 0.0
            give_back_freed_memory()
        return EngineOutput(
            np.concatenate([output.probabilities for output in outputs]),
            np.concatenate([output.dimensions for output in outputs]),
            np.concatenate([output.embeddings for output in outputs]),
        )

    def run_padded(
        self, waveforms: Sequence[FloatArray], conditions: Sequence[Mapping[str, FloatArray]] = ()
    ) -> EngineOutput:
        """As ``run``, in one batch whose clips are padded to the longest, as another program may do it.

        Raises:
            EngineError: when memory does not suffice for the batch.
        """
        return self._output(self._whole, _padded(waveforms) | self._given(conditions, len(waveforms)))

    def answers_to(
        self, embeddings: NDArray[np.floating], conditions: Sequence[Mapping[str, FloatArray]] = ()
    ) -> EngineOutput:
        """Embeddings as ``run`` gives them, to what ``run`` would have said of them.

        Raises:
            EngineError: when memory does not suffice for the batch.
            ModelError: for heads that cannot be run, or that do not fit the description or the whole graph.
        """
        given = self._given(conditions, len(embeddings))
        return self._output(self._heads, {EMBEDDING: np.asarray(embeddings, dtype=np.float32)} | given)

    def _given(self, conditions: Sequence[Mapping[str, FloatArray]], count: int) -> dict[str, NDArray[np.float32]]:
        """Vectors of the conditions by name, each shape (batch, width), NaN where unknown."""
        return {
            name: np.stack([own[name] for own in conditions]).astype(np.float32)
            if conditions
            else np.full((count, about["width"]), np.nan, dtype=np.float32)
            for name, about in self.conditions.items()
        }

    def _output(self, session: onnxruntime.InferenceSession, inputs: Mapping[str, NDArray[Any]]) -> EngineOutput:
        given = {value.name for value in session.get_inputs()}  # a condition that the graph never looks at is no input
        try:
            values = session.run(None, {name: value for name, value in inputs.items() if name in given})
        except Exception as error:  # of a library whose errors have no common base
            raise EngineError(f"onnxruntime could not run the model on it ({_reason(error)}).") from error
        found = dict(zip((value.name for value in session.get_outputs()), values, strict=True))
        count = len(next(iter(inputs.values())))
        space = self.label_space
        units = [
            (np.asarray(found[name], dtype=np.float64) - scale.low) / (scale.high - scale.low)
            for name, scale in space.dimensions.items()
        ]
        return EngineOutput(
            np.asarray(found.get(PROBABILITIES, np.zeros((count, 0))), dtype=np.float64),
            np.stack(units, axis=1) if units else np.zeros((count, 0)),
            np.asarray(found.get(EMBEDDING, inputs.get(EMBEDDING))),
        )


def _padded(waveforms: Sequence[FloatArray]) -> dict[str, NDArray[Any]]:
    lengths = np.array([len(waveform) for waveform in waveforms], dtype=np.int64)
    padded = np.zeros((len(waveforms), int(lengths.max())), dtype=np.float32)
    for row, waveform in enumerate(waveforms):
        padded[row, : len(waveform)] = waveform
    return {WAVEFORMS: padded, LENGTHS: lengths}


def _session(path: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # the engine runs several clips at a time instead
    options.log_severity_level = 4  # what is wrong is told by the error
    options.enable_mem_pattern = False  # plans for lengths that do not come again
    options.enable_cpu_mem_arena = False  # grows under ever other lengths, and is no faster than the C library's heap
    # a graph holds its weights itself: those that it would take from other files are looked for where none can be
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", str(path))
    try:
        return onnxruntime.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # of a library whose errors have no common base
        raise ModelError(f"{path} cannot be run by onnxruntime ({_reason(error)}). {CURE}") from error


def _reason(error: Exception) -> str:
    """Message of onnxruntime, without the parts that only its makers understand."""
    return _SOURCE.sub("", " ".join(str(error).split()), count=1)[:200].rstrip(" .")


def _check(
    session: onnxruntime.InferenceSession,
    inputs: Sequence[str],
    outputs: Sequence[str],
    model: ExportedModel,
    name: str,
) -> None:
    """The graph takes and gives what the config says; an unused condition may be missing among its inputs."""
    path = model.folder / name
    found = [value.name for value in session.get_inputs()]
    if [value for value in inputs if value in found or value not in model.conditions] != found:
        raise ModelError(f"{path} takes {', '.join(found)}; the config says {', '.join(inputs)}. {CURE}")
    given = {value.name: value.shape for value in session.get_outputs()}
    if list(given) != list(outputs):
        raise ModelError(f"{path} gives {', '.join(given)}; the config says {', '.join(outputs)}. {CURE}")
    for value in (*session.get_inputs(), *session.get_outputs()):
        kind = _COUNTS if value.name == LENGTHS else _FLOATS
        axes = 1 if value.name == LENGTHS or value.name in model.label_space.dimensions else 2
        of_layers = value.name == EMBEDDING and len(value.shape) == axes + 1  # where every layer has its own head
        if value.type != kind or (len(value.shape) != axes and not of_layers):
            raise ModelError(
                f"{path}: {value.name} is a {value.type} of {len(value.shape)} axes;"
                f" expected a {kind} of {axes}. {CURE}"
            )
    classes = len(model.label_space.classes)
    if classes and given[PROBABILITIES][-1] != classes:
        raise ModelError(
            f"{path} gives {given[PROBABILITIES][-1]} probabilities; the config has {classes} classes. {CURE}"
        )


def _check_embedding(
    whole: onnxruntime.InferenceSession, heads: onnxruntime.InferenceSession, model: ExportedModel
) -> None:
    """The heads take what the whole graph gives, as those of another model would not."""
    given = next(value.shape[1:] for value in whole.get_outputs() if value.name == EMBEDDING)
    taken = next(value.shape[1:] for value in heads.get_inputs() if value.name == EMBEDDING)
    if given != taken:
        raise ModelError(
            f"{model.folder / HEADS_GRAPH} takes embeddings of {taken[-1]} features; {GRAPH} gives {given[-1]}. {CURE}"
        )
