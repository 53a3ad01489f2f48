"""Processor time of a clip by what the graph does, in batches of one to eight clips: does sharing one gain anything?

    python benchmarks/serve_profile.py [MODEL] [--repeats 5]

One thread runs the graph, as in the server. `equal` clips are of 4 s; `mixed` ones of 2 to 6 s, padded to the longest
of their batch; `sorted` are the same clips, those of like length together. Medians over repeats, in ms a clip.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from emotune.models.exported import LENGTHS, WAVEFORMS
from emotune.models.folder import GRAPH, find_model_folder

RATE = 16000
BATCHES = (1, 2, 4, 8)
CLIPS = 16
PARTS: Mapping[str, Sequence[str]] = {
    "products": ("MatMul", "Gemm", "FusedMatMul", "MatMulInteger", "MatMulIntegerToFloat", "FusedGemm"),
    "to 8 bits and back": ("QuantizeLinear", "DequantizeLinear", "ReduceMax", "Abs", "Cast", "DynamicQuantizeLinear"),
    "convolutions": ("Conv", "FusedConv", "ConvInteger"),
    "norms, activations": ("LayerNormalization", "SkipLayerNormalization", "Gelu", "BiasGelu", "FastGelu", "Softmax"),
}
"""Operators by part; all others move and combine numbers."""


def part_of(operator: str) -> str:
    return next((part for part, operators in PARTS.items() if operator in operators), "all else")


def batches_of(lengths: Sequence[int], size: int) -> list[list[int]]:
    return [list(lengths[at : at + size]) for at in range(0, len(lengths), size)]


def profiled(path: Path, batches: Sequence[Sequence[int]], conditions: Mapping[str, int]) -> Counter[str]:
    """Milliseconds a clip by part."""
    random = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.enable_mem_pattern = False
        options.enable_profiling = True
        options.profile_file_prefix = str(Path(folder) / "profile")
        session = onnxruntime.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])
        for lengths in batches:
            waveforms = np.zeros((len(lengths), max(lengths)), dtype=np.float32)
            for row, length in enumerate(lengths):
                waveforms[row, :length] = 0.1 * random.standard_normal(length)
            given: dict[str, Any] = {WAVEFORMS: waveforms, LENGTHS: np.array(lengths, dtype=np.int64)}
            unknown = {name: np.full((len(lengths), width), np.nan, "f4") for name, width in conditions.items()}
            session.run(None, given | unknown)
        events = json.loads(Path(session.end_profiling()).read_text())
    found = Counter[str]()
    for event in events:
        if event["cat"] == "Node" and event["name"].endswith("_kernel_time"):
            found[part_of(event["args"]["op_name"])] += event["dur"] / 1000
    clips = sum(map(len, batches))
    return Counter({part: took / clips for part, took in found.items()})


def profile(model: Path, repeats: int) -> list[dict[str, Any]]:
    """A row for each way to put clips into batches."""
    about = json.loads((model / "config.json").read_text())
    conditions = {name: own["width"] for name, own in (about.get("conditions") or {}).items()}
    mixed = [round(RATE * length_s) for length_s in np.random.default_rng(0).uniform(2, 6, CLIPS)]
    ways = {"equal": [4 * RATE] * CLIPS, "mixed": mixed, "sorted": sorted(mixed)}
    rows = []
    for way, lengths in ways.items():
        for size in BATCHES:
            if way == "sorted" and size == 1:
                continue
            batches = batches_of(lengths, size)
            turns = [profiled(model / GRAPH, batches, conditions) for _ in range(repeats)]
            names = (*PARTS, "all else")
            by_part = {part: round(statistics.median(turn[part] for turn in turns), 2) for part in names}
            padded = sum(max(batch) * len(batch) for batch in batches) / sum(lengths) - 1
            whole = round(statistics.median(turn.total() for turn in turns), 2)
            rows.append({"lengths": way, "batch": size, "ms_a_clip": whole, **by_part, "padding": f"{padded:.0%}"})
    return rows


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    lines = [f"| {' | '.join(rows[0])} |", f"|{'---|' * len(rows[0])}"]
    return "\n".join([*lines, *(f"| {' | '.join(map(str, row.values()))} |" for row in rows)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", default="mini")
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    print(f"{options.model}, one thread, load {os.getloadavg()[0]:.1f}\n")
    print(table(profile(find_model_folder(options.model).folder, options.repeats)))


if __name__ == "__main__":
    main()
