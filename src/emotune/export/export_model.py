"""Export of a model folder to a folder of the same kind that holds graphs in place of weights."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import ModelProto

import emotune
from emotune.errors import ConfigError, ModelError
from emotune.export.graph import simplify
from emotune.export.int8 import quantize
from emotune.export.onnx import OPSET, heads_graph, whole_graph
from emotune.export.parity import Parity, answers_of, compare, generated_clips, scores_of
from emotune.export.source import source_of
from emotune.export.weights import WEIGHTS, Place, places_of
from emotune.inference.loading import load, refuse_headless
from emotune.inference.onnx_engine import OnnxEngine
from emotune.inference.predictor import Predictor
from emotune.inference.torch_engine import TorchEngine
from emotune.io.hub import CARD
from emotune.io.new_folders import new_folder
from emotune.io.tables import atomic_path, to_json, write_text
from emotune.models.exported import PRECISIONS, SCHEMA
from emotune.models.folder import CONFIG, GRAPH, HEADS_GRAPH, PREPROCESSOR
from emotune.models.store import StoredModel, load_model
from emotune.runtime.listener import Listener
from emotune.runtime.progress import Progress, silent
from emotune.schema.manifest import Manifest

LARGEST_DIFFERENCE = 1e-4
"""Between a model and its export in float32, or a clip alone and in a batch; more is an error."""
_LARGEST_OF_ROUNDING = 0.05
"""Between a clip alone and in a batch in eight bits, where the last bit of a float can turn the rounding of a frame."""
_LICENCE = re.compile(r"^(?:license: *|- licence: )(\S.*)$", re.MULTILINE)


@dataclass(frozen=True)
class Export:
    """Outcome of an export: the folder, its size, and how far its answers are from the source's."""

    folder: Path
    size_bytes: int
    precision: str
    parity: Parity


def export_model(
    model: str | Path,
    output: Path,
    *,
    precision: str = "fp32",
    check: Manifest | None = None,
    listener: Listener | None = None,
    progress: Progress = silent,
) -> Export:
    """Exports a model as ONNX, whole, and compares the answers of both on clips of fifty lengths.

    Args:
        model: a model folder, a run folder that holds one, or ``hf:owner/name[@revision]``.
        output: the folder to make, which must not be there yet.
        precision: ``fp32``, or ``int8``: eight-bit weights, and activations quantised by row.
        check: utterances on which the metrics of both are compared too.
        listener: told what is done.
        progress: shows how far the check is.

    Raises:
        ConfigError: for a model with a part that ONNX has no operations for, a folder that is there, or an unknown
            precision.
        ModelError: when the source cannot be loaded, or the export answers differently.
    """
    if precision not in PRECISIONS:
        raise ConfigError(f"Unknown precision '{precision}'. Known: {', '.join(PRECISIONS)}.")
    listener = listener or Listener()
    found = source_of(model, output)
    stored = load_model(found.folder)
    _refuse_windows(stored)
    source = TorchEngine(stored.model, stored.preprocessing, calibration=stored.calibration)
    refuse_headless(source.label_space, found.name)
    clips = generated_clips(source)
    expected = answers_of(source, clips)
    listener.say(f"{found.name}: writing its graph")
    simplify(stored.model)
    temperature = stored.calibration.temperature
    whole = whole_graph(stored.model, preprocessing=stored.preprocessing, temperature=temperature)
    heads = heads_graph(stored.model, temperature=temperature)
    weights = places_of(whole, stored.model.state_dict())
    if precision == "int8":
        whole = quantize(whole)
    config = _config(stored, precision)
    preprocessing = stored.preprocessing.to_json() | {"normalize": "none"}  # it is done inside
    card = found.folder / CARD
    text = card.read_text(encoding="utf-8") if card.is_file() else ""
    with new_folder(output) as made:
        _write(made / PREPROCESSOR, preprocessing)
        if text:
            write_text(made / CARD, text)
        _write(made / CONFIG, config)
        for name, proto in ((GRAPH, whole), (HEADS_GRAPH, heads)):
            _describe(proto, config, preprocessing, text, weights=weights if name == GRAPH else {})
            with atomic_path(made / name) as path:
                onnx.save_model(proto, path)
        engine = OnnxEngine.load(made)
        listener.say(f"comparing both on {len(clips.samples)} clips")
        parity = compare(expected, engine, clips)
        _refuse(parity, precision)
        if check is not None:
            scores = scores_of(load(found.folder), Predictor(engine), check, progress=progress)
            parity = replace(parity, scores=scores)
        config["export"]["parity"] = asdict(parity)
        _write(made / CONFIG, config)
    size = sum(file.stat().st_size for file in output.iterdir())
    return Export(output, size, precision, parity)


def _refuse_windows(source: StoredModel) -> None:
    windows = [encoder.window_samples for encoder in source.model.encoders if encoder.window_samples is not None]
    window = min(windows, default=None)
    rate, longest_s = source.preprocessing.sampling_rate_hz, source.preprocessing.max_duration_s
    if window is not None and longest_s * rate > window:
        raise ConfigError(
            f"The model takes clips of {longest_s:g} s in windows of {window / rate:g} s, and a graph holds one window."
            f" Train with data.max_duration_s of at most {window / rate:g}; recordings are then cut by --window."
        )


def _config(source: StoredModel, precision: str) -> dict[str, Any]:
    """Source's config with what the export adds: widths of conditions, and how it was made."""
    widths = {} if source.model.joined is None else source.model.joined.widths
    given = source.config.get("conditions") or {}
    conditions = {name: {**about, "width": widths[name]} for name, about in given.items()}
    made_with = {name: version(name) for name in ("torch", "onnx", "onnxscript", "onnxruntime")}
    about = {
        "precision": precision,
        "opset": OPSET,
        "source": source.fingerprint,
        "made_with": {"emotune": emotune.__version__, **made_with},
        "normalization": source.preprocessing.normalize,
    }
    return {**source.config, "schema": SCHEMA, "conditions": conditions or None, "export": about}


def _describe(
    proto: ModelProto,
    config: Mapping[str, Any],
    preprocessing: Mapping[str, Any],
    card: str,
    *,
    weights: Mapping[str, Place],
) -> None:
    """Metadata inside the file, for whoever has it alone."""
    licence = _LICENCE.search(card)
    entries = {
        "emotune.classes": json.dumps(config["classes"]),
        "emotune.dimensions": json.dumps(config["dimensions"]),
        "emotune.config": json.dumps(config),
        "emotune.preprocessing": json.dumps(preprocessing),
        "emotune.calibration": json.dumps(config.get("calibration")),
        "emotune.conditions": "vectors by name; a row of NaN says that the value is not known",
        "emotune.licence": licence[1].strip() if licence else "unknown",
        "emotune.card": card,
        "emotune.source": config["export"]["source"],
        WEIGHTS: json.dumps(weights),
    }
    proto.producer_name, proto.producer_version = "emotune", emotune.__version__
    onnx.helper.set_model_props(proto, entries)


def _refuse(parity: Parity, precision: str) -> None:
    """A graph that says something else than its source is of no use."""
    bounds = {
        "a clip in a batch from the clip alone": (parity.batch, LARGEST_DIFFERENCE),
        "the heads from the whole": (parity.heads, LARGEST_DIFFERENCE),
        "probabilities": (parity.probabilities, LARGEST_DIFFERENCE),
        "dimensions": (parity.dimensions, LARGEST_DIFFERENCE),
    }
    if precision == "int8":
        bounds = {name: (found, _LARGEST_OF_ROUNDING) for name, (found, _) in list(bounds.items())[:2]}
    for what, (difference, bound) in bounds.items():
        if not difference <= bound:  # NaN too
            raise ModelError(
                f"The exported graph differs from its source: {what} by {difference:.2g}, at most {bound:g} is right."
                " Nothing was written."
            )
    if not np.isfinite(parity.largest):
        raise ModelError("The exported graph gives answers that are not finite. Nothing was written.")


def _write(path: Path, content: Mapping[str, Any]) -> None:
    write_text(path, to_json(dict(content)) + "\n")
